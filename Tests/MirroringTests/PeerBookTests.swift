import Mirroring
import OCI
import TestSupport
import Testing
import Time

struct PeerBookTests {
    private let start = MonotonicTime(nanoseconds: 5)
    private let progressTimeout = Duration.seconds(2)

    private func book(limit: Int = PeerBook.limit) -> PeerBook {
        PeerBook(progressTimeout: progressTimeout, limit: limit)
    }

    @Test func silentPeerIsRememberedForAWhileOrUntilItAnswers() {
        var book = book()
        for peer in ["a", "b"] { book.record(.timedOut(for: progressTimeout), of: peer, now: start) }
        book.record(.answered, of: "b", now: start)
        #expect(book.isSilent("a", now: start) && !book.isSilent("b", now: start))
        #expect(book.isSilent("a", now: start + (PeerBook.silence - .nanoseconds(1))))
        #expect(!book.isSilent("a", now: start + PeerBook.silence))
        book.record(.answered, of: "c", now: start + PeerBook.silence)
        #expect(book.count == 1)
    }

    @Test func peerThatAnswersMeanwhileIsOnlySlow() {
        var book = book()
        book.record(.answered, of: "a", now: start)
        let soon = start + (progressTimeout - .nanoseconds(1))
        book.record(.timedOut(for: progressTimeout), of: "a", now: soon)
        #expect(!book.isSilent("a", now: soon))
        let half = progressTimeout / 2
        #expect(book.isSlow("a", now: start + (half - .nanoseconds(1))) && !book.isSlow("a", now: start + half))
        #expect(!book.isSlow("b", now: start))
        let later = start + progressTimeout
        book.record(.timedOut(for: progressTimeout), of: "a", now: later)
        #expect(book.isSilent("a", now: later) && !book.isSlow("a", now: later))
        // Peers that only answer do not drive it out.
        for number in 0..<10 * PeerBook.limit { book.record(.answered, of: "\(number)", now: later) }
        #expect(book.isSilent("a", now: later) && book.count == PeerBook.limit)
    }

    @Test func oldestSilencesGiveWayWhenThereAreTooMany() {
        var book = book()
        let limit = PeerBook.limit
        for number in 0...limit {
            let time = start + .nanoseconds(Int64(number))
            book.record(.timedOut(for: progressTimeout), of: "\(number)", now: time)
        }
        let now = start + .nanoseconds(Int64(limit))
        #expect(book.count == limit && !book.isSilent("0", now: now) && book.isSilent("\(limit)", now: now))
    }

    @Test func peersAreBoundedAndThoseInFlightStay() {
        var book = book()
        book.record(.requestStarted, of: "in flight", now: start)
        for number in 0..<5000 {
            let now = start + .milliseconds(number)
            book.record(.requestStarted, of: "\(number)", now: now)
            book.record(.requestEnded, of: "\(number)", now: now)
            #expect(book.count <= PeerBook.limit)
        }
        let now = start + .seconds(6)
        #expect(book.inFlight("in flight", now: now) == 1 && book.checkInvariants(now: now))
        // However long it takes.
        let later = start + .seconds(1_000_000)
        book.record(.requestStarted, of: "another", now: later)
        #expect(book.inFlight("in flight", now: later) == 1 && book.count == 2)
        // Nor is there more room if requests to all are in flight.
        for number in 0..<2 * PeerBook.limit { book.record(.requestStarted, of: "\(number)", now: later) }
        #expect(book.count == PeerBook.limit)
    }

    @Test func tellsWhereAPeerWasAskedLast() {
        var book = book()
        #expect(book.address(of: "a", now: start) == nil)
        for port in 1...2 {
            book.record(.requestStarted, of: "a", at: PeerAddress(ip: "192.0.2.1", port: port), now: start)
            book.record(.requestEnded, of: "a", now: start)
        }
        #expect(book.address(of: "a", now: start)?.text == "192.0.2.1:2")
        #expect(book.address(of: "a", now: start + .seconds(600)) == nil)
    }

    @Test func idlePeerIsForgottenAfterAWhile() {
        var book = book()
        book.record(.requestStarted, of: "a", now: start)
        let ended = start + .seconds(3600)
        book.record(.requestEnded, of: "a", now: ended)
        book.record(.requestStarted, of: "b", now: ended + .seconds(599))
        #expect(book.count == 2)
        book.record(.requestStarted, of: "b", now: ended + .seconds(600))
        #expect(book.count == 1)
    }

    @Test func hedgeDelayFollowsAllPeers() {
        var book = book()
        #expect(book.hedgeDelay == FirstByteTimes.initialDelay)
        for number in 0..<100 { book.record(.firstByte(after: .milliseconds(1)), of: "\(number % 7)", now: start) }
        #expect(book.hedgeDelay == FirstByteTimes.bounds.lowerBound)
    }

    @Test func recentProviderIsLookedForAnewNowAndThen() throws {
        var book = book()
        let address = PeerAddress(ip: "192.0.2.1", port: 5000)
        func gave(_ peer: String, _ time: MonotonicTime) {
            book.record(.gaveRange(ofKey: "k", at: address), of: peer, now: time)
        }
        gave("1", start)
        gave("1", start + .seconds(29))
        let one = Peer(id: "1", addresses: [address])
        #expect(book.recentProvider(of: "k", now: start + .seconds(29)) == one)
        #expect(book.recentProvider(of: "k", now: start + PeerBook.recentProviderLifetime) == nil)
        gave("1", start)
        gave("2", start)
        book.record(.failedToGive(key: "k"), of: "1", now: start)
        #expect(book.recentProvider(of: "k", now: start)?.id == "2")
        book.record(.failedToGive(key: "k"), of: "2", now: start)
        #expect(book.recentProvider(of: "k", now: start) == nil)
    }

    @Test func recentProvidersAreBounded() {
        var book = book()
        let address = PeerAddress(ip: "192.0.2.1", port: 5000)
        for number in 0..<2 * PeerBook.recentProviderLimit {
            let now = start + .nanoseconds(Int64(number))
            book.record(.gaveRange(ofKey: "\(number)", at: address), of: "p", now: now)
        }
        #expect(book.recentProviderCount == PeerBook.recentProviderLimit)
    }

    /// Beside a model that keeps all events.
    @Test(arguments: 0..<8) func agreesWithANaiveModel(batch: Int) throws {
        let seed = UInt64.random(in: .min ... .max)
        var random = SeededGenerator(seed: seed)
        let digests = try (0..<2).map { try testDigest($0) }
        for _ in 0..<8 {
            var book = book()
            var model: [String: [(time: MonotonicTime, event: PeerEvent)]] = [:]
            var now = start
            for _ in 0..<200 {
                // Now and then a long time passes.
                let longest: Int64 = Int.random(in: 0..<20, using: &random) == 0 ? 900_000 : 2500
                now = now + .milliseconds(Int64.random(in: 0...longest, using: &random))
                let peer = "\(Int.random(in: 0..<4, using: &random))"
                let digest = digests[Int.random(in: 0..<2, using: &random)]
                let events: [PeerEvent] = [
                    .requestStarted, .requestEnded, .answered, .firstByte(after: .milliseconds(5)),
                    .failed(wasBusy: true), .failed(wasBusy: false), .timedOut(for: progressTimeout),
                    .sentWrongBytes(digest), .mayHaveSentWrongBytes(digest),
                ]
                let event = events[Int.random(in: events.indices, using: &random)]
                let isSlowNow = answered(model[peer, default: []], within: progressTimeout, now)
                book.record(event, of: peer, now: now)
                // A time-out of a peer that answered meanwhile says nothing.
                if event != .timedOut(for: progressTimeout) || !isSlowNow {
                    model[peer, default: []].append((now, event))
                }
                #expect(book.checkInvariants(now: now), "seed \(seed)")
                let isRight = (0..<4).allSatisfy { number in
                    let peer = "\(number)"
                    let events = model[peer] ?? []
                    return book.inFlight(peer, now: now) == inFlight(events)
                        && book.isSilent(peer, now: now) == isSilent(events, now)
                        && book.isSlow(peer, now: now) == answered(events, within: progressTimeout / 2, now)
                        && digests.allSatisfy { book.standing(of: peer, $0, now: now) == standing(events, $0, now) }
                }
                #expect(isRight, "seed \(seed)")
            }
        }
    }

    private typealias Events = [(time: MonotonicTime, event: PeerEvent)]

    private func inFlight(_ events: Events) -> Int {
        events.reduce(0) { count, event in
            switch event.event {
            case .requestStarted: count + 1
            case .requestEnded: max(0, count - 1)
            default: count
            }
        }
    }

    private func answered(_ events: Events, within time: Duration, _ now: MonotonicTime) -> Bool {
        events.contains { $0.event == .answered && now - $0.time < time }
    }

    private func isSilent(_ events: Events, _ now: MonotonicTime) -> Bool {
        let last = events.last { $0.event == .answered || $0.event == .timedOut(for: progressTimeout) }
        guard let last, last.event != .answered else { return false }
        return now - last.time < PeerBook.silence
    }

    private func standing(_ events: Events, _ digest: Digest, _ now: MonotonicTime) -> PeerStanding {
        func happened(within time: Duration, _ condition: (PeerEvent) -> Bool) -> Bool {
            events.contains { now - $0.time < time && condition($0.event) }
        }
        if happened(within: PeerTrust.duration, { $0 == .sentWrongBytes(digest) }) { return .banned }
        if happened(within: PeerTrust.duration, { $0 == .mayHaveSentWrongBytes(digest) }) { return .suspect }
        let isDistrusted = happened(within: PeerTrust.distrustDuration) {
            if case .sentWrongBytes = $0 { true } else { false }
        }
        return isDistrusted ? .distrusted : .trusted
    }
}
