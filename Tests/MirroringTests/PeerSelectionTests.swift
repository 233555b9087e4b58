import Mirroring
import TestSupport
import Testing
import Time

/// The order of several peers. It is drawn, so each case is tried many times.
struct PeerSelectionTests {
    private let now = MonotonicTime(nanoseconds: 1_000_000_000_000)
    private let seed = UInt64.random(in: .min ... .max)
    private static let tries = 1000

    /// Peers are named by how near they are and a number: `z1` is of the same zone, `n1` on the same network, `u1` of an
    /// unknown zone, `o1` of another one.
    private func nearness(_ peer: Peer) -> Nearness {
        switch peer.id.first {
        case "z": .sameZone
        case "n": .sameNetwork
        case "o": .otherZone
        default: .unknown
        }
    }

    /// How often each of the peers comes first.
    private func firsts(_ book: PeerBook, _ names: [String], now: MonotonicTime? = nil) -> [String: Int] {
        let peers = testPeers(names)
        var random = SeededGenerator(seed: seed)
        var counts: [String: Int] = [:]
        for _ in 0..<Self.tries {
            let ordered = book.order(peers, now: now ?? self.now, using: &random, nearness: nearness)
            #expect(Set(ordered) == Set(peers) && ordered.count == peers.count)
            counts[ordered[0].id, default: 0] += 1
        }
        return counts
    }

    private func book(inFlight: [String: Int] = [:], milliseconds: [String: Int64] = [:]) -> PeerBook {
        var book = PeerBook(progressTimeout: .seconds(2))
        for (peer, time) in milliseconds {
            book.record(.requestStarted, of: peer, now: now)
            book.record(.firstByte(after: .milliseconds(time)), of: peer, now: now)
            book.record(.requestEnded, of: peer, now: now)
        }
        for (peer, count) in inFlight { for _ in 0..<count { book.record(.requestStarted, of: peer, now: now) } }
        return book
    }

    @Test func noPeersAndOneNeedNoOrder() {
        var random = SeededGenerator(seed: seed)
        for peers in [testPeers([]), testPeers(["u1"])] {
            #expect(book().order(peers, now: now, using: &random, nearness: nearness) == peers)
        }
    }

    @Test func unknownPeersShare() {
        let counts = firsts(book(), ["u0", "u1", "u2", "u3"])
        #expect(counts.count == 4 && counts.values.allSatisfy { (150...350).contains($0) }, "seed \(seed): \(counts)")
    }

    @Test func lessLoadedPeerComesFirst() {
        var book = book(inFlight: ["u0": 10, "u1": 1])
        let counts = firsts(book, ["u0", "u1", "u2"])
        // The busiest never wins against another; the idle one always does when it is drawn.
        #expect(counts["u0"] == nil && (550...780).contains(counts["u2"] ?? 0), "seed \(seed): \(counts)")
        for _ in 0..<11 { book.record(.requestEnded, of: "u0", now: now) }
        #expect(book.inFlight("u0", now: now) == 0)
    }

    @Test func fasterPeerComesFirstButIsNotTheOnlyOne() {
        var book = book()
        for (peer, time) in [("u0", Int64(2)), ("u1", 4), ("u2", 40)] {
            book.record(.requestStarted, of: peer, now: now)
            for _ in 0..<20 { book.record(.firstByte(after: .milliseconds(time)), of: peer, now: now) }
            book.record(.requestEnded, of: peer, now: now)
        }
        let counts = firsts(book, ["u0", "u1", "u2"])
        #expect((550...780).contains(counts["u0"] ?? 0) && counts["u2"] == nil, "seed \(seed): \(counts)")
        #expect(counts["u1"] ?? 0 > 200, "seed \(seed): \(counts)")
    }

    @Test func peerOfWhichNoTimeIsKnownCountsAsUsual() {
        let counts = firsts(book(milliseconds: ["u0": 10, "u1": 500]), ["u0", "u1", "u2"])
        // Better than the slow one, worse than the fast one.
        #expect((550...780).contains(counts["u0"] ?? 0) && counts["u1"] == nil, "seed \(seed): \(counts)")
    }

    @Test func failedPeerComesLastForAWhile() {
        var random = SeededGenerator(seed: seed)
        var book = book()
        book.record(.requestStarted, of: "u0", now: now)
        book.record(.requestEnded, of: "u0", now: now)
        book.record(.failed(wasBusy: false), of: "u0", now: now)
        let peers = testPeers(["u0", "u1", "u2"])
        for _ in 0..<100 {
            #expect(book.order(peers, now: now, using: &random, nearness: nearness).last?.id == "u0", "seed \(seed)")
        }
        let later = now + PeerSelection.failurePenalty
        let lasts = (0..<100).map { _ in book.order(peers, now: later, using: &random, nearness: nearness).last?.id }
        #expect(Set(lasts).count > 1, "seed \(seed)")
    }

    @Test func peerThatNoRequestWasSentToHasNotFailed() {
        var book = book()
        book.record(.failed(wasBusy: true), of: "z1", now: now)
        #expect(book.count == 0 && firsts(book, ["z1", "o1"]) == ["z1": Self.tries], "seed \(seed)")
    }

    @Test func sameNetworkComesFirstUntilItIsLoaded() {
        var book = book()
        let names = ["u0", "u1", "u2", "n3", "n4"]
        let counts = firsts(book, names)
        #expect(Set(counts.keys) == ["n3", "n4"], "seed \(seed): \(counts)")
        for peer in ["n3", "n4"] {
            for _ in 0..<PeerSelection.nearLimit { book.record(.requestStarted, of: peer, now: now) }
        }
        let loaded = firsts(book, names)
        #expect(Set(loaded.keys) == ["u0", "u1", "u2"], "seed \(seed): \(loaded)")
        // Where the others have as many in flight it is no reason.
        for peer in ["u0", "u1", "u2"] { book.record(.requestStarted, of: peer, now: now) }
        let busy = firsts(book, names)
        #expect(Set(busy.keys) == ["n3", "n4"], "seed \(seed): \(busy)")
    }

    private static let choices: [([String], Set<String>)] = [
        (["z1", "o1"], ["z1"]), (["z1", "u1"], ["z1"]), (["u1", "o1"], ["u1"]), (["n1", "u1"], ["n1"]),
        (["z1", "n1"], ["z1"]), (["o1", "u1", "n1", "z1"], ["z1"]), (["o1", "o2"], ["o1", "o2"]),
        (["z1", "z2", "z3", "o1", "o2", "u1"], ["z1", "z2", "z3"]),
    ]

    @Test(arguments: choices)
    func nearestComesFirst(names: [String], expected: Set<String>) {
        let counts = firsts(book(), names)
        #expect(Set(counts.keys) == expected, "seed \(seed): \(counts)")
        // None of equals is favoured.
        let fair = Self.tries / expected.count
        #expect(counts.values.allSatisfy { $0 > fair / 2 }, "seed \(seed): \(counts)")
    }

    @Test func othersFollowInTheSameOrder() {
        var random = SeededGenerator(seed: seed)
        let peers = testPeers(["o1", "u1", "z1", "o2", "n1", "z2"])
        for _ in 0..<100 {
            let ordered = book().order(peers, now: now, using: &random, nearness: nearness)
            #expect(ordered.map { String($0.id.prefix(1)) } == ["z", "z", "n", "u", "o", "o"], "seed \(seed)")
        }
    }

    @Test func muchMoreLoadedPeerLosesToAFartherOne() {
        let limit = PeerSelection.nearLimit
        let all = Self.tries
        let names = ["z1", "o1"]
        #expect(firsts(book(inFlight: ["z1": limit - 1]), names) == ["z1": all], "seed \(seed)")
        #expect(firsts(book(inFlight: ["z1": limit]), names) == ["o1": all], "seed \(seed)")
        // Both are loaded: it stays in the zone.
        #expect(firsts(book(inFlight: ["z1": 50, "o1": 45]), names) == ["z1": all], "seed \(seed)")
        #expect(firsts(book(inFlight: ["z1": 50, "o1": 40]), names) == ["o1": all], "seed \(seed)")
        // Another one of the zone is idle.
        #expect(firsts(book(inFlight: ["z1": 50]), names + ["z2"]) == ["z2": all], "seed \(seed)")
        // An unknown zone is better than one that is known to be another.
        #expect(firsts(book(inFlight: ["z1": limit]), names + ["u1"]) == ["u1": all], "seed \(seed)")
    }

    @Test func muchSlowerPeerLosesToAFartherOneForAWhile() {
        let all = Self.tries
        let names = ["z1", "o1"]
        let slow = book(milliseconds: ["z1": 400, "o1": 5])
        #expect(firsts(slow, names) == ["o1": all], "seed \(seed)")
        // It may have been busy: later it is tried again.
        #expect(firsts(slow, names, now: now + PeerSelection.slowMemory) == ["z1": all], "seed \(seed)")
        // Many times as long, but next to nothing; much longer, but not many times as long.
        #expect(firsts(book(milliseconds: ["z1": 45, "o1": 1]), names) == ["z1": all], "seed \(seed)")
        #expect(firsts(book(milliseconds: ["z1": 700, "o1": 100]), names) == ["z1": all], "seed \(seed)")
        // What the others would take is not known.
        #expect(firsts(book(milliseconds: ["z1": 400]), names) == ["z1": all], "seed \(seed)")
    }

    @Test(arguments: [true, false]) func failedOrBusyPeerLosesToAFartherOne(wasBusy: Bool) {
        let all = Self.tries
        var book = book(milliseconds: ["z1": 1])
        book.record(.failed(wasBusy: wasBusy), of: "z1", now: now)
        #expect(firsts(book, ["z1", "o1"]) == ["o1": all], "seed \(seed)")
        let penalty = wasBusy ? PeerSelection.busyPenalty : PeerSelection.failurePenalty
        #expect(firsts(book, ["z1", "o1"], now: now + penalty) == ["z1": all], "seed \(seed)")
        // All have failed: the nearest comes first.
        book.record(.requestStarted, of: "o1", now: now)
        book.record(.requestEnded, of: "o1", now: now)
        book.record(.failed(wasBusy: wasBusy), of: "o1", now: now)
        #expect(firsts(book, ["z1", "o1"]) == ["z1": all], "seed \(seed)")
    }

    @Test func withinTheZoneTheLeastLoadedComesFirst() {
        let counts = firsts(book(inFlight: ["z1": 3]), ["z1", "z2", "o1"])
        #expect(counts == ["z2": Self.tries], "seed \(seed): \(counts)")
    }
}
