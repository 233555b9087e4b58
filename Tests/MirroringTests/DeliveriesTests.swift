import Mirroring
import TestSupport
import Testing
import Time

/// What clients got that was not checked, and what follows if they ask again.
struct DeliveriesTests {
    private let now = MonotonicTime(nanoseconds: 5)
    /// As `Deliveries` has them.
    private let lifetime = Duration.seconds(300)
    private let limit = 1024
    private let maximumSources = 8

    private func key(_ client: String = "10.0.0.1", _ number: Int = 1) throws -> DeliveryKey {
        DeliveryKey(client: client, digest: try testDigest(number))
    }

    /// A client gets a part.
    private func deliver(
        _ part: Range<Int64>,
        of key: DeliveryKey,
        size: Int64,
        from sources: [String],
        to book: inout ContentBook,
        now: MonotonicTime? = nil
    ) {
        let outcome = DeliveryOutcome.unchecked(part: part, size: size, sources: sources)
        let wrong = book.record(outcome, of: key, suspects: [], now: now ?? self.now)
        #expect(wrong.isEmpty)
    }

    @Test func clientThatHasAllAsksAgain() throws {
        let key = try key()
        var book = ContentBook()
        deliver(0..<60, of: key, size: 100, from: ["a"], to: &book)
        #expect(book.suspects(of: key, now: now).isEmpty)
        // It goes on where it was, or a little before.
        deliver(50..<100, of: key, size: 100, from: ["b", "a"], to: &book)
        #expect(book.suspects(of: key, now: now) == ["a", "b"])
        #expect(try book.suspects(of: self.key("10.0.0.2"), now: now).isEmpty)
        #expect(book.suspects(of: key, now: now + lifetime).isEmpty)
        // What is found right once more is no reason for suspicion for a while.
        let wrong = book.record(.checkedByPeer("b"), of: key, suspects: ["a", "b"], now: now)
        #expect(wrong.isEmpty && book.suspects(of: key, now: now).isEmpty)
        deliver(0..<100, of: key, size: 100, from: ["b"], to: &book)
        #expect(book.suspects(of: key, now: now).isEmpty)
        deliver(0..<100, of: key, size: 100, from: ["a"], to: &book)
        #expect(book.suspects(of: key, now: now) == ["a"])
        deliver(0..<100, of: key, size: 100, from: ["b"], to: &book, now: now + lifetime)
        #expect(book.suspects(of: key, now: now + lifetime) == ["b"])
    }

    @Test func onceTheDigestMatchesTheOtherPeersWereWrong() throws {
        let key = try key()
        var book = ContentBook()
        deliver(0..<100, of: key, size: 100, from: ["a", "b"], to: &book)
        let suspects = book.suspects(of: key, now: now)
        let wrong = book.record(.matched(sources: ["b", "c"]), of: key, suspects: suspects, now: now)
        #expect(wrong == ["a"] && book.suspects(of: key, now: now).isEmpty)
        // Both are proven, so the next request has another reason.
        deliver(0..<100, of: key, size: 100, from: ["b", "c"], to: &book)
        #expect(book.suspects(of: key, now: now).isEmpty)
    }

    /// containerd commits only what is right.
    @Test func committedContentRaisesNoDoubt() throws {
        let (key, other) = (try key(), try key("10.0.0.1", 2))
        var book = ContentBook()
        for key in [key, other] { deliver(0..<100, of: key, size: 100, from: ["a"], to: &book) }
        _ = book.arrived([key.digest: 100], size: { Int64($0) }, now: now)
        #expect(book.suspects(of: key, now: now).isEmpty && book.suspects(of: other, now: now) == ["a"])
        // The next delivery has to be committed anew.
        deliver(0..<100, of: key, size: 100, from: ["b"], to: &book)
        #expect(book.suspects(of: key, now: now) == ["b"])
    }

    /// The time runs from the last byte of the whole.
    @Test(arguments: 0..<100)
    func laterTriesDoNotRenewADoubt(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let key = try key()
        var book = ContentBook()
        var time = now
        deliver(0..<100, of: key, size: 100, from: ["a"], to: &book, now: time)
        let end = time + lifetime
        for _ in 0..<20 {
            time = time + .seconds(Int64.random(in: 1...30, using: &random))
            // A try that brings nothing, or a part.
            let start = Int64.random(in: 1..<100, using: &random)
            let part = start..<Int64.random(in: start...100, using: &random)
            if Bool.random(using: &random) {
                deliver(part, of: key, size: 100, from: ["a"], to: &book, now: time)
            }
            #expect(book.suspects(of: key, now: time).isEmpty == (time >= end), "seed \(seed)")
            #expect(book.checkInvariants(now: time))
            if time >= end { return }
        }
        #expect(book.suspects(of: key, now: end).isEmpty, "seed \(seed)")
    }

    @Test func digestMismatchEndsTheSuspicionAndProvesNothing() throws {
        let key = try key()
        var book = ContentBook()
        deliver(0..<100, of: key, size: 100, from: ["a"], to: &book)
        let wrong = book.record(.mismatched, of: key, suspects: ["a"], now: now)
        #expect(wrong.isEmpty && book.suspects(of: key, now: now).isEmpty)
        deliver(0..<100, of: key, size: 100, from: ["a"], to: &book)
        #expect(book.suspects(of: key, now: now) == ["a"])
    }

    /// Only a client that has got each byte may have found something wrong.
    @Test(arguments: 0..<200)
    func onlyWholeDeliveriesCount(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let key = try key()
        var book = ContentBook()
        let size: Int64 = 20
        var got: Set<Int64> = []
        for _ in 0..<20 {
            let start = Int64.random(in: 0..<size, using: &random)
            let end = Int64.random(in: start...size, using: &random)
            deliver(start..<end, of: key, size: size, from: ["p"], to: &book)
            got.formUnion(start..<end)
            if !book.suspects(of: key, now: now).isEmpty { #expect(got.count == Int(size), "seed \(seed)") }
            #expect(book.checkInvariants(now: now), "seed \(seed)")
        }
    }

    /// A client that fetches several parts at a time has them in any order.
    @Test func partsMayEndInAnyOrder() throws {
        var random = SeededGenerator()
        let key = try key()
        for _ in 0..<100 {
            var book = ContentBook()
            let parts = (0..<Int64(8)).map { $0 * 10..<($0 * 10 + 10) }.shuffled(using: &random)
            for part in parts {
                #expect(book.suspects(of: key, now: now).isEmpty, "seed \(random.seed)")
                deliver(part, of: key, size: 80, from: ["p"], to: &book)
            }
            #expect(book.suspects(of: key, now: now) == ["p"], "seed \(random.seed)")
        }
        // Of one that picks here and there not all is remembered.
        var book = ContentBook()
        for number in 0..<Int64(1000) {
            deliver(number * 2..<(number * 2 + 1), of: key, size: 2000, from: ["p"], to: &book)
        }
        for number in 0..<Int64(1000) {
            deliver(number * 2 + 1..<(number * 2 + 2), of: key, size: 2000, from: ["p"], to: &book)
        }
        #expect(book.suspects(of: key, now: now).isEmpty)
    }

    @Test func clientThatBeginsAnewHasThrownAwayTheRest() throws {
        let key = try key()
        var book = ContentBook()
        deliver(0..<60, of: key, size: 100, from: ["a"], to: &book)
        deliver(0..<50, of: key, size: 100, from: ["b"], to: &book)
        deliver(60..<100, of: key, size: 100, from: ["b"], to: &book)
        #expect(book.suspects(of: key, now: now).isEmpty)
        // Nor does what is said to have another size go with it.
        deliver(50..<90, of: key, size: 90, from: ["b"], to: &book)
        #expect(book.suspects(of: key, now: now).isEmpty)
    }

    @Test func deliveriesAreBounded() throws {
        var book = ContentBook()
        for number in 0..<2 * limit {
            let time = now + .nanoseconds(Int64(number))
            let key = try key("\(number)")
            deliver(0..<1, of: key, size: 1, from: (0..<20).map { "\($0)" }, to: &book, now: time)
            #expect(book.suspects(of: key, now: time).count == maximumSources)
        }
        #expect(book.counts.deliveries == limit && book.checkInvariants(now: now))
    }
}
