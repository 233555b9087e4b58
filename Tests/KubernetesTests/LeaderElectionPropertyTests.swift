import TestSupport
import Testing

@testable import Kubernetes

@Suite(.timeLimit(.minutes(3)))
struct LeaderElectionPropertyTests {
    static let harsh = ElectionSimulation.Faults(
        lostRequests: 60,
        lostAnswers: 60,
        longestDelay: 12_000_000,
        pauses: 20,
        longestPause: 25_000_000,
        ends: 10,
        skew: 20
    )

    static func generators(_ count: Int) -> [SeededGenerator] {
        let first = UInt64.random(in: .min ... .max)
        return (0..<UInt64(count)).map { SeededGenerator(seed: first &+ $0) }
    }

    @Test func neverHasTwoLeadersAndRecoversAfterFaults() {
        var elections = 0
        for var generator in Self.generators(60) {
            let count = Int.random(in: 2...5, using: &generator)
            var simulation = ElectionSimulation(
                nodes: count,
                timing: ElectionTiming(),
                faults: Self.harsh,
                generator: generator
            )
            simulation.run(seconds: 240)
            // Without faults, once messages in flight have passed, one node leads and stays leader.
            simulation.faults = ElectionSimulation.Faults()
            simulation.run(seconds: 90)
            simulation.startGap()
            let transitions = simulation.transitions
            simulation.run(seconds: 60)
            #expect(
                simulation.overlaps.isEmpty,
                "two leaders at \(simulation.overlaps.first ?? 0) µs, seed \(generator.seed)"
            )
            #expect(simulation.leaders.count == 1, "no leader at the end, seed \(generator.seed)")
            #expect(
                simulation.longestGap == 0,
                "a gap of \(simulation.longestGap) µs without faults, seed \(generator.seed)"
            )
            #expect(simulation.transitions == transitions, "the leader changed without faults, seed \(generator.seed)")
            elections += simulation.elections
        }
        #expect(elections > 200, "too few elections for a meaningful test: \(elections)")
    }

    /// The check above can fail: it does so with a renew deadline above the lease duration.
    @Test func hasTwoLeadersWhenRenewDeadlineExceedsLease() {
        let timing = ElectionTiming(leaseDuration: .seconds(5), renewDeadline: .seconds(20))
        #expect(timing.fault != nil)
        let overlaps = Self.generators(20).count { generator in
            var simulation = ElectionSimulation(nodes: 3, timing: timing, faults: Self.harsh, generator: generator)
            simulation.run(seconds: 240)
            return !simulation.overlaps.isEmpty
        }
        #expect(overlaps > 0)
    }

    @Test func replacesKilledLeaderInTime() {
        var elections = 0
        for generator in Self.generators(20) {
            var faults = ElectionSimulation.Faults()
            faults.ends = 6
            var simulation = ElectionSimulation(
                nodes: 4,
                timing: ElectionTiming(),
                faults: faults,
                generator: generator
            )
            simulation.run(seconds: 20)
            simulation.startGap()
            simulation.run(seconds: 600)
            elections += simulation.elections
            #expect(
                simulation.longestGap < 15_000_000,
                "\(simulation.longestGap) µs without a leader, seed \(generator.seed)"
            )
        }
        #expect(elections > 30, "too few killed leaders for a meaningful test: \(elections)")
    }
}
