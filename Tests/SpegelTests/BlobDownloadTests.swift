import TestSupport
import Testing

@testable import spegel

struct BlobDownloadTests {
    private typealias Head = BlobDownload.Head

    @Test func aWholeAnswerIsEnough() {
        var download = BlobDownload(size: 10)
        #expect(download.range == nil)
        let body = download.receive(Head(status: 200, length: 10, source: "10.0.0.2:5000"))
        #expect(body == .take(skipping: 0))
        var failure = download.receive(4)
        #expect(failure == nil)
        failure = download.receive(6)
        #expect(failure == nil)
        let next = download.end(nil)
        #expect(next == .done && download.resumptions == 0)
        #expect(download.shares == [.init(source: "10.0.0.2:5000", bytes: 10)])
    }

    @Test func anAnswerThatEndsEarlyIsGoneOnWith() {
        var download = BlobDownload(size: 10)
        _ = download.receive(Head(status: 200, length: 10, source: "a"))
        _ = download.receive(4)
        var next = download.end("the connection was closed before the end")
        #expect(next == .askAgain && download.range == "bytes=4-" && download.pause == .zero)
        let body = download.receive(Head(status: 206, length: 6, range: (4, 10), source: "b"))
        #expect(body == .take(skipping: 0))
        _ = download.receive(6)
        next = download.end(nil)
        #expect(next == .done && download.resumptions == 1)
        #expect(download.shares == [.init(source: "a", bytes: 4), .init(source: "b", bytes: 6)])
    }

    @Test func whoIgnoresTheRangeIsReadFromTheBeginning() {
        var download = BlobDownload(size: 10)
        _ = download.receive(Head(status: 200, length: 10))
        _ = download.receive(4)
        _ = download.end("x")
        let body = download.receive(Head(status: 200, length: 10))
        #expect(body == .take(skipping: 4))
    }

    @Test func failsWithoutAProviderOfTheContentOrTheRest() {
        var download = BlobDownload(size: 10)
        var body = download.receive(Head(status: 404))
        #expect(body == .fail(.notFound(received: 0, size: 10)))
        #expect(
            "\(BlobDownload.Failure.notFound(received: 0, size: 10))" == "no provider found in the cluster"
        )
        _ = download.receive(Head(status: 200, length: 10))
        _ = download.receive(4)
        _ = download.end("x")
        body = download.receive(Head(status: 404))
        #expect(body == .fail(.notFound(received: 4, size: 10)))
    }

    @Test(arguments: [
        (Head(status: 401), BlobDownload.Failure.unauthorised), (Head(status: 403), .unauthorised),
        (Head(status: 416), .refused(status: 416)), (Head(status: 301), .refused(status: 301)),
        (Head(status: 206, range: (3, 10)), .refused(status: 206)), (Head(status: 206), .refused(status: 206)),
        (Head(status: 206, range: (0, 11)), .wrongSize(expected: 10, found: 11, source: nil)),
        (Head(status: 200, length: 9, source: "a"), .wrongSize(expected: 10, found: 9, source: "a")),
    ])
    func whatMakesNoSenseIsAnError(_ head: BlobDownload.Head, _ failure: BlobDownload.Failure) {
        var download = BlobDownload(size: 10)
        let body = download.receive(head)
        #expect(body == .fail(failure))
    }

    @Test func moreBytesThanBelongToItAreAnError() {
        var download = BlobDownload(size: .max)
        _ = download.receive(Head(status: 200))
        var failure = download.receive(.max)
        #expect(failure == nil)
        failure = download.receive(1)
        #expect(failure == .tooLong(source: nil))
    }

    @Test func itIsGivenUpWhenNothingComes() {
        var download = BlobDownload(size: 10)
        for _ in 1..<BlobDownload.maximumTries {
            let next = download.end("reset")
            #expect(next == .askAgain && download.pause > .zero)
        }
        let next = download.end("reset")
        #expect(next == .fail(.givenUp(tries: BlobDownload.maximumTries, reason: "reset")))
        var busy = BlobDownload(size: 10)
        for _ in 1..<BlobDownload.maximumTries {
            let body = busy.receive(Head(status: 503))
            #expect(body == .askAgain)
        }
        let body = busy.receive(Head(status: 503))
        #expect(body == .fail(.givenUp(tries: BlobDownload.maximumTries, reason: "status 503")))
    }

    /// A server that cuts, refuses and ignores ranges at random: what is taken is always the content, in order.
    @Test(arguments: [UInt64.random(in: 0...UInt64.max)])
    func whatIsTakenIsTheContent(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<2000 {
            let content = (0..<Int.random(in: 0...40, using: &generator)).map { $0 }
            var download = BlobDownload(size: Int64(content.count))
            var taken: [Int] = []
            var answers = 0
            serving: while true {
                answers += 1
                let first = download.range.flatMap { Int($0.dropFirst(6).dropLast()) } ?? 0
                let isPartial = first > 0 && Bool.random(using: &generator)
                var next: BlobDownload.Next
                if Int.random(in: 0..<8, using: &generator) == 0 {
                    next = download.end("refused")
                } else {
                    let head =
                        isPartial
                        ? Head(status: 206, range: (Int64(first), Int64(content.count)))
                        : Head(status: 200, length: Int64(content.count))
                    guard case .take(let skipping) = download.receive(head) else {
                        Issue.record("refused, seed \(seed)")
                        break
                    }
                    let body = content[(isPartial ? first : 0)...]
                    let sent = body.prefix(Int.random(in: 0...body.count, using: &generator))
                    let useful = sent.dropFirst(Int(skipping))
                    let failure = download.receive(Int64(useful.count))
                    #expect(failure == nil)
                    taken += useful
                    next = download.end(sent.count == body.count ? nil : "cut")
                }
                switch next {
                case .done:
                    #expect(taken == content, "seed \(seed)")
                    break serving
                case .askAgain: #expect(answers < 500, "seed \(seed)")
                case .fail(.givenUp): break serving
                case .fail(let failure):
                    Issue.record("\(failure), seed \(seed)")
                    break serving
                }
            }
            #expect(download.shares.reduce(0) { $0 + $1.bytes } == Int64(taken.count))
        }
    }

    @Test(
        arguments: [
            ("bytes 5-9/10", 5, 10), ("bytes 0-0/1", 0, 1), ("bytes */10", nil, nil), ("bytes 5-9/*", nil, nil),
            ("5-9/10", nil, nil), ("bytes -1-2/3", nil, nil), ("bytes 5-9/10/11", nil, nil), ("bytes ", nil, nil),
        ] as [(String, Int64?, Int64?)]
    )
    func contentRangesAreRead(_ text: String, _ first: Int64?, _ total: Int64?) {
        let range = ImagePull.contentRange(text)
        #expect(range?.first == first && range?.total == total)
    }
}
