import Crypto
internal import FoundationEssentials
import Multiformats

/// The proof of one request for content: a header field's value.
///
///     v1 TIME NONCE REQUESTER CODE
///
/// The code is an HMAC (SHA-256) of the request, of the holder's peer id, and of the other fields. So the proof is valid for
/// this request to this peer alone, and for half a minute.
public struct RequestProof: Hashable, Sendable {
    /// How far the time of a proof may be from the receiver's clock, in seconds: skewed clocks included.
    public static let lifetime: Int64 = 30
    /// The most bytes of a header field's value.
    static let maximumLength = 256
    private static let version = "v1"
    private static let codeLength = 32

    /// Why a proof does not prove anything.
    public enum Refusal: Error, Hashable, Sendable, CaseIterable {
        /// There is none, or it is malformed.
        case missing
        /// Its time is too far from the receiver's clock.
        case expired
        /// It was made with another key, or for another request or peer.
        case wrong
    }

    /// When it was made, in seconds since 1970.
    public let time: Int64
    /// Tells two proofs of one second apart, so that an answer's proof is about one request.
    public let nonce: UInt64
    /// The id of the node that asks.
    public let requester: String
    /// The authentication code.
    public let code: [UInt8]

    /// Proves a request.
    ///
    /// - Parameters:
    ///   - requester: the id of this node.
    ///   - time: in seconds since 1970.
    ///   - nonce: a random number.
    public init(of request: ProvenRequest, by requester: String, with key: ContentKey, time: Int64, nonce: UInt64) {
        self.time = time
        self.nonce = nonce
        self.requester = requester
        let input = Self.input(request, requester, time, nonce)
        code = Array(HMAC<SHA256>.authenticationCode(for: input, using: key.requests))
    }

    /// Parses the value of a header field; `nil` if it is malformed.
    public init?(headerValue text: String) {
        guard text.utf8.count <= Self.maximumLength else { return nil }
        let fields = text.utf8.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard fields.count == 5, fields[0].elementsEqual(Self.version.utf8) else { return nil }
        guard (1...12).contains(fields[1].count), fields[1].allSatisfy({ (0x30...0x39).contains($0) }),
            let time = Int64(Substring(fields[1])), let nonce = Hexadecimal.number(fields[2])
        else { return nil }
        guard (1...128).contains(fields[3].count), fields[3].allSatisfy({ (0x21...0x7e).contains($0) }),
            let code = try? Base64URL.decode(Substring(fields[4])), code.count == Self.codeLength
        else { return nil }
        self.time = time
        self.nonce = nonce
        requester = String(Substring(fields[3]))
        self.code = code
    }

    /// The value of the header field.
    public var headerValue: String {
        "\(Self.version) \(time) \(Hexadecimal.text(nonce)) \(requester) \(Base64URL.encode(code))"
    }

    /// Finds the key with which the proof was made for a request.
    ///
    /// - Parameters:
    ///   - keys: those that are accepted.
    ///   - now: in seconds since 1970.
    public func key(
        of request: ProvenRequest,
        among keys: some Collection<ContentKey>,
        now: Int64
    ) throws(Refusal) -> ContentKey {
        let (distance, overflow) = now.subtractingReportingOverflow(time)
        guard !overflow, (-Self.lifetime...Self.lifetime).contains(distance) else { throw .expired }
        let input = Self.input(request, requester, time, nonce)
        // The library compares in constant time.
        for key in keys
        where HMAC<SHA256>.isValidAuthenticationCode(code, authenticating: input, using: key.requests) {
            return key
        }
        throw .wrong
    }

    private static func input(_ request: ProvenRequest, _ requester: String, _ time: Int64, _ nonce: UInt64) -> [UInt8]
    {
        var input = ProofInput("spegel content request 1")
        input.add(request.method)
        input.add(request.target)
        input.add(optional: request.range)
        input.add(UInt64(request.wantsCheck ? 1 : 0))
        input.add(request.holder)
        input.add(requester)
        input.add(UInt64(bitPattern: time))
        input.add(nonce)
        return input.bytes
    }
}
