import Membership
import TestSupport
import Testing

@Suite struct ContentProofTests {
    private static let now: Int64 = 1_764_590_000

    private let request = ProvenRequest(
        method: "GET",
        target: "/v2/a/blobs/b?ns=c",
        range: "bytes=0-9",
        wantsCheck: false,
        holder: "holder"
    )

    private func key(_ byte: UInt8 = 0) throws -> ContentKey {
        try #require(ClusterKey(secret: (0..<32).map { $0 &+ byte })).content
    }

    private func prove(_ request: ProvenRequest, _ key: ContentKey, at time: Int64 = now) throws -> RequestProof {
        let proof = RequestProof(of: request, by: "requester", with: key, time: time, nonce: 0x0123_4567_89AB_CDEF)
        return try #require(RequestProof(headerValue: proof.headerValue))
    }

    private func refusal(
        _ proof: RequestProof,
        of request: ProvenRequest,
        _ keys: [ContentKey],
        now: Int64 = now
    ) -> RequestProof.Refusal? {
        do throws(RequestProof.Refusal) {
            _ = try proof.key(of: request, among: keys, now: now)
            return nil
        } catch {
            return error
        }
    }

    /// The form is part of the protocol between nodes of different versions. Computed with Python's hmac.
    @Test func hasSameFormAsBefore() throws {
        let proof = try prove(request, key())
        #expect(
            proof.headerValue == "v1 1764590000 0123456789abcdef requester 97KQ9LFFWG-SKvyyifGGS5sADf0iKQ-z2r5I_mkSy0k"
        )
        let answer = ProvenAnswer(status: 200, digest: "sha256:00", mediaType: nil, length: 12)
        #expect(
            AnswerProof.headerValue(of: answer, to: proof, with: try key())
                == "v1 ZfC6C76KRqPo4qM-FQ78C6B5nnsO-FwyUFnQOgn4jFk"
        )
    }

    @Test func provesRequestWithAnyAcceptedKey() throws {
        let (old, new) = (try key(1), try key(2))
        #expect(try prove(request, old).key(of: request, among: [new, old], now: Self.now) == old)
        #expect(try prove(request, new).key(of: request, among: [new, old], now: Self.now) == new)
        #expect(refusal(try prove(request, try key(3)), of: request, [new, old]) == .wrong)
        #expect(refusal(try prove(request, new), of: request, []) == .wrong)
    }

    @Test(arguments: [-30, -25, 0, 25, 30] as [Int64])
    func acceptsClocksWithinHalfMinute(skew: Int64) throws {
        #expect(refusal(try prove(request, key()), of: request, [try key()], now: Self.now + skew) == nil)
    }

    @Test(arguments: [-31, 31, 3600, .max - now, .min + 1 + now] as [Int64])
    func expires(skew: Int64) throws {
        let now = Self.now.addingReportingOverflow(skew).partialValue
        #expect(refusal(try prove(request, key()), of: request, [try key()], now: now) == .expired)
    }

    /// A proof that was taken from the wire, and shown with another request or to another peer.
    @Test func isValidForItsRequestAndPeerAlone() throws {
        let proof = try prove(request, key())
        let changes: [(inout ProvenRequest) -> Void] = [
            { $0.method = "HEAD" }, { $0.target += "x" }, { $0.target = "/v2/a/blobs/b" }, { $0.range = nil },
            { $0.range = "" }, { $0.range = "bytes=0-8" }, { $0.wantsCheck = true }, { $0.holder = "requester" },
            { $0.holder = "" }, { ($0.method, $0.target) = ("GET/", "v2/a/blobs/b?ns=c") },
        ]
        for change in changes {
            var other = request
            change(&other)
            #expect(refusal(proof, of: other, [try key()]) == .wrong, "\(other)")
        }
        #expect(refusal(proof, of: request, [try key()]) == nil, "a replay within half a minute gives the same content")
    }

    @Test func cannotBeReflected() throws {
        // The node that was asked sends the proof back.
        var back = request
        back.holder = "requester"
        #expect(refusal(try prove(request, key()), of: back, [try key()]) == .wrong)
    }

    @Test func answerIsValidForItsRequestAlone() throws {
        let key = try key()
        let proof = try prove(request, key)
        let answer = ProvenAnswer(status: 200, digest: "sha256:00", mediaType: "a/b", length: 12)
        let value = AnswerProof.headerValue(of: answer, to: proof, with: key)
        #expect(AnswerProof.isValid(value, of: answer, to: proof, with: key))
        let changes: [(inout ProvenAnswer) -> Void] = [
            { $0.status = 206 }, { $0.digest = "sha256:01" }, { $0.digest = nil }, { $0.mediaType = nil },
            { $0.length = 13 }, { $0.length = nil }, { ($0.digest, $0.mediaType) = ("sha256:00a", "/b") },
        ]
        for change in changes {
            var other = answer
            change(&other)
            #expect(!AnswerProof.isValid(value, of: other, to: proof, with: key), "\(other)")
        }
        let later = RequestProof(of: request, by: "requester", with: key, time: Self.now, nonce: 2)
        #expect(!AnswerProof.isValid(value, of: answer, to: later, with: key), "an older answer")
        #expect(!AnswerProof.isValid(value, of: answer, to: proof, with: try self.key(1)))
        #expect(
            !AnswerProof.isValid("v1 " + proof.headerValue.suffix(43), of: answer, to: proof, with: key),
            "reflected"
        )
        for malformed in [nil, "", "v1", "v1 ", "v2" + value.dropFirst(2), value + "A", String(value.dropLast())] {
            #expect(!AnswerProof.isValid(malformed, of: answer, to: proof, with: key))
        }
    }

    @Test func refusesMalformedHeaders() throws {
        let value = try prove(request, key()).headerValue
        let fields = value.split(separator: " ").map(String.init)
        func with(_ index: Int, _ field: String) -> String {
            var changed = fields
            changed[index] = field
            return changed.joined(separator: " ")
        }
        let malformed = [
            "", " ", value + " ", " " + value, value + " x", with(0, "v2"), with(1, ""), with(1, "-1"), with(1, "+1"),
            with(1, "1234567890123"), with(2, "0123456789ABCDEF"), with(2, "123456789abcdef"), with(3, ""),
            with(3, String(repeating: "x", count: 129)), with(3, "ä"), with(4, fields[4] + "A"), with(4, ""),
            with(4, String(fields[4].dropLast()) + "="), value.replacing(" ", with: "  "),
        ]
        for text in malformed { #expect(RequestProof(headerValue: text) == nil, "\(text)") }
    }

    @Test(arguments: 0..<8)
    func noChangedHeaderProvesAnything(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let key = try key()
        let value = Array(try prove(request, key).headerValue.utf8)
        for _ in 0..<500 {
            var bytes = value
            let index = Int.random(in: bytes.indices, using: &random)
            bytes[index] = UInt8.random(in: 0x20...0x7E, using: &random)
            guard bytes != value, let proof = RequestProof(headerValue: String(decoding: bytes, as: UTF8.self)) else {
                continue
            }
            #expect(refusal(proof, of: request, [key]) != nil)
        }
    }
}
