import NIOCore
import Routing
import TestSupport
import Testing

@testable import Registry

/// Which of several holders is asked first where their zones are known. The choice is drawn, so each case is tried many
/// times.
struct NearnessTests {
    private let now = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
    private let seed = UInt64.random(in: .min ... .max)

    /// Holders named by how near they are and a number: `z1` is of the same zone, `n1` on the same network, `u1` of an
    /// unknown zone, `o1` of another one.
    private func holders(_ names: [String]) throws -> [Provider] {
        try names.enumerated().map { number, name in
            Provider(peerID: name, addresses: [try SocketAddress(ipAddress: "192.0.2.\(number)", port: 5000)])
        }
    }

    private func nearness(_ provider: Provider) -> Nearness {
        switch provider.peerID.first {
        case "z": .sameZone
        case "n": .sameNetwork
        case "o": .otherZone
        default: .unknown
        }
    }

    /// How often each of the holders comes first.
    private func firsts(_ loads: PeerLoads, _ names: [String], now: NIODeadline? = nil) throws -> [String: Int] {
        let holders = try holders(names)
        var random = SeededGenerator(seed: seed)
        var counts: [String: Int] = [:]
        for _ in 0..<600 {
            let ordered = loads.order(holders, now: now ?? self.now, using: &random, nearness: nearness)
            #expect(Set(ordered) == Set(holders) && ordered.count == holders.count)
            counts[ordered[0].peerID, default: 0] += 1
        }
        return counts
    }

    private func loads(
        inFlight: [String: Int] = [:],
        milliseconds: [String: Int64] = [:]
    ) -> PeerLoads {
        var loads = PeerLoads()
        for (peer, time) in milliseconds {
            loads.began(peer, now: now)
            loads.sentFirstByte(peer, after: .milliseconds(time))
            loads.ended(peer)
        }
        for (peer, count) in inFlight { for _ in 0..<count { loads.began(peer, now: now) } }
        return loads
    }

    private static let ranks: [(Zone?, Zone?, Bool, Nearness)] = [
        (Zone("a"), Zone("a"), false, .sameZone), (Zone("b"), Zone("a"), true, .otherZone),
        (nil, Zone("a"), false, .unknown), (nil, Zone("a"), true, .sameNetwork),
        (Zone("a"), nil, false, .unknown), (Zone("a"), nil, true, .sameNetwork),
        (nil, nil, false, .unknown), (nil, nil, true, .sameNetwork),
    ]

    @Test(arguments: ranks)
    func aZoneSaysMoreThanAnAddress(zone: Zone?, own: Zone?, isOnSameNetwork: Bool, expected: Nearness) {
        #expect(Nearness(zone: zone, own: own, isOnSameNetwork: isOnSameNetwork) == expected)
    }

    private static let choices: [([String], Set<String>)] = [
        (["z1", "o1"], ["z1"]), (["z1", "u1"], ["z1"]), (["u1", "o1"], ["u1"]), (["n1", "u1"], ["n1"]),
        (["z1", "n1"], ["z1"]), (["o1", "u1", "n1", "z1"], ["z1"]), (["o1", "o2"], ["o1", "o2"]),
        (["z1", "z2", "z3", "o1", "o2", "u1"], ["z1", "z2", "z3"]),
    ]

    @Test(arguments: choices)
    func theNearestComesFirst(names: [String], expected: Set<String>) throws {
        let counts = try firsts(PeerLoads(), names)
        #expect(Set(counts.keys) == expected, "seed \(seed): \(counts)")
        // None of equals is favoured.
        let fair = 600 / expected.count
        #expect(counts.values.allSatisfy { $0 > fair / 2 }, "seed \(seed): \(counts)")
    }

    @Test func theRestIsInTheSameOrder() throws {
        var random = SeededGenerator(seed: seed)
        let holders = try holders(["o1", "u1", "z1", "o2", "n1", "z2"])
        for _ in 0..<100 {
            let ordered = PeerLoads().order(holders, now: now, using: &random, nearness: nearness)
            #expect(ordered.map { String($0.peerID.prefix(1)) } == ["z", "z", "n", "u", "o", "o"], "seed \(seed)")
        }
    }

    @Test func whoIsMuchMoreLoadedLosesToAFartherOne() throws {
        let limit = PeerLoads.nearLimit
        let names = ["z1", "o1"]
        #expect(try firsts(loads(inFlight: ["z1": limit - 1]), names) == ["z1": 600], "seed \(seed)")
        #expect(try firsts(loads(inFlight: ["z1": limit]), names) == ["o1": 600], "seed \(seed)")
        // Both are loaded: it stays in the zone.
        #expect(try firsts(loads(inFlight: ["z1": 50, "o1": 45]), names) == ["z1": 600], "seed \(seed)")
        #expect(try firsts(loads(inFlight: ["z1": 50, "o1": 40]), names) == ["o1": 600], "seed \(seed)")
        // Another one of the zone is idle.
        #expect(try firsts(loads(inFlight: ["z1": 50]), names + ["z2"]) == ["z2": 600], "seed \(seed)")
        // Nobody knows where the next one is, which is better than to know that it is elsewhere.
        #expect(try firsts(loads(inFlight: ["z1": limit]), names + ["u1"]) == ["u1": 600], "seed \(seed)")
    }

    @Test func whoIsMuchSlowerLosesToAFartherOneForAWhile() throws {
        let names = ["z1", "o1"]
        let slow = loads(milliseconds: ["z1": 400, "o1": 5])
        #expect(try firsts(slow, names) == ["o1": 600], "seed \(seed)")
        // It may have been busy: later it is tried again.
        #expect(try firsts(slow, names, now: now + PeerLoads.slowMemory) == ["z1": 600], "seed \(seed)")
        // Many times as long, but next to nothing; much longer, but not many times as long.
        #expect(try firsts(loads(milliseconds: ["z1": 45, "o1": 1]), names) == ["z1": 600], "seed \(seed)")
        #expect(try firsts(loads(milliseconds: ["z1": 700, "o1": 100]), names) == ["z1": 600], "seed \(seed)")
        // What the others would take is not known.
        #expect(try firsts(loads(milliseconds: ["z1": 400]), names) == ["z1": 600], "seed \(seed)")
    }

    @Test(arguments: [true, false]) func whoHasFailedOrIsBusyLosesToAFartherOne(wasBusy: Bool) throws {
        var loads = loads(milliseconds: ["z1": 1])
        loads.failed("z1", wasBusy: wasBusy, now: now)
        #expect(try firsts(loads, ["z1", "o1"]) == ["o1": 600], "seed \(seed)")
        let penalty = wasBusy ? PeerLoads.busyPenalty : PeerLoads.failurePenalty
        #expect(try firsts(loads, ["z1", "o1"], now: now + penalty) == ["z1": 600], "seed \(seed)")
        // All have failed: the nearest is as good as any.
        loads.began("o1", now: now)
        loads.ended("o1")
        loads.failed("o1", wasBusy: wasBusy, now: now)
        #expect(try firsts(loads, ["z1", "o1"]) == ["z1": 600], "seed \(seed)")
    }

    @Test func withinTheZoneTheLeastLoadedComesFirst() throws {
        let counts = try firsts(loads(inFlight: ["z1": 3]), ["z1", "z2", "o1"])
        #expect(counts == ["z2": 600], "seed \(seed): \(counts)")
    }
}
