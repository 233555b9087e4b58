import NIOCore
import Routing
import TestSupport
import Testing

@testable import Registry

struct PeerLoadsTests {
    private let now = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

    private func holders(_ count: Int) throws -> [Provider] {
        try (0..<count).map { number in
            Provider(peerID: "\(number)", addresses: [try SocketAddress(ipAddress: "192.0.2.\(number)", port: 5000)])
        }
    }

    /// How often each of the holders comes first.
    private func firsts(
        _ loads: PeerLoads,
        _ holders: [Provider],
        seed: UInt64,
        nearness: (Provider) -> Nearness = { _ in .unknown }
    ) -> [String: Int] {
        var random = SeededGenerator(seed: seed)
        var counts: [String: Int] = [:]
        for _ in 0..<1000 {
            let ordered = loads.order(holders, now: now, using: &random, nearness: nearness)
            #expect(Set(ordered) == Set(holders) && ordered.count == holders.count)
            counts[ordered[0].peerID, default: 0] += 1
        }
        return counts
    }

    @Test func holdersOfWhichNothingIsKnownShare() throws {
        let seed = UInt64.random(in: .min ... .max)
        let counts = firsts(PeerLoads(), try holders(4), seed: seed)
        #expect(counts.count == 4 && counts.values.allSatisfy { (150...350).contains($0) }, "seed \(seed): \(counts)")
    }

    @Test func whoHasLessToDoComesFirst() throws {
        let seed = UInt64.random(in: .min ... .max)
        var loads = PeerLoads()
        for _ in 0..<10 { loads.began("0", now: now) }
        loads.began("1", now: now)
        let counts = firsts(loads, try holders(3), seed: seed)
        // The busiest never wins against another; the idle one always does when it is drawn.
        #expect(counts["0"] == nil && (550...780).contains(counts["2"] ?? 0), "seed \(seed): \(counts)")
        for _ in 0..<10 { loads.ended("0") }
        loads.ended("0")
        #expect(loads.inFlight("0") == 0)
    }

    @Test func whoIsFasterComesFirstAndIsNotTheOnlyOne() throws {
        let seed = UInt64.random(in: .min ... .max)
        var loads = PeerLoads()
        for (peer, time) in [("0", 2), ("1", 4), ("2", 40)] {
            loads.began(peer, now: now)
            for _ in 0..<20 { loads.sentFirstByte(peer, after: .milliseconds(Int64(time))) }
            loads.ended(peer)
        }
        let counts = firsts(loads, try holders(3), seed: seed)
        #expect((550...780).contains(counts["0"] ?? 0) && counts["2"] == nil, "seed \(seed): \(counts)")
        #expect(counts["1"] ?? 0 > 200, "seed \(seed): \(counts)")
    }

    @Test func whoHasFailedComesLastForAWhile() throws {
        let seed = UInt64.random(in: .min ... .max)
        var random = SeededGenerator(seed: seed)
        var loads = PeerLoads()
        loads.began("0", now: now)
        loads.ended("0")
        loads.failed("0", wasBusy: false, now: now)
        let holders = try holders(3)
        for _ in 0..<100 {
            let ordered = loads.order(holders, now: now, using: &random) { _ in .unknown }
            #expect(ordered.last?.peerID == "0", "seed \(seed)")
        }
        let later = now + PeerLoads.failurePenalty
        let lasts = (0..<100).map { _ in loads.order(holders, now: later, using: &random) { _ in .unknown }.last?.peerID
        }
        #expect(Set(lasts).count > 1, "seed \(seed)")
    }

    @Test func theSameNetworkComesFirstUntilItIsLoaded() throws {
        let seed = UInt64.random(in: .min ... .max)
        var loads = PeerLoads()
        let holders = try holders(5)
        let near: (Provider) -> Nearness = { ["3", "4"].contains($0.peerID) ? .sameNetwork : .unknown }
        let counts = firsts(loads, holders, seed: seed, nearness: near)
        #expect(Set(counts.keys) == ["3", "4"], "seed \(seed): \(counts)")
        for peer in ["3", "4"] { for _ in 0..<PeerLoads.nearLimit { loads.began(peer, now: now) } }
        let loaded = firsts(loads, holders, seed: seed, nearness: near)
        #expect(Set(loaded.keys) == ["0", "1", "2"], "seed \(seed): \(loaded)")
        // Where the others have as much to do it is no reason.
        for peer in ["0", "1", "2"] { loads.began(peer, now: now) }
        let busy = firsts(loads, holders, seed: seed, nearness: near)
        #expect(Set(busy.keys) == ["3", "4"], "seed \(seed): \(busy)")
    }

    @Test func whatIsRememberedIsBounded() {
        var loads = PeerLoads()
        loads.began("in use", now: now)
        for number in 0..<5000 {
            loads.began("\(number)", now: now + .milliseconds(Int64(number)))
            loads.ended("\(number)")
            #expect(loads.count <= PeerLoads.limit)
        }
        #expect(loads.inFlight("in use") == 1)
    }
}
