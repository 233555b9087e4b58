import Time

/// The order in which peers that have a key are asked: the policy of the peer selector, without memory or clock.
///
/// 1. Peers that failed within the last 30 s, or were busy within the last 2 s, come after all others.
/// 2. Of the others the nearest come first, as ``Nearness`` says. A peer is passed over for the next nearest
///    - while at least 8 more requests of this node are in flight to it than to the least loaded one, or
///    - if its mean time to the first byte is at least 8 times that of the fastest and 50 ms longer. That is forgotten
///      30 s after the last request to it, as the peer may have changed.
/// 3. Of those that are left two are drawn at random. The one with the lower cost is asked: the mean time to its first
///    byte, times the number of its requests in flight with this one. A peer of which no time is known counts as usual.
///
/// The two draws keep all nodes from asking one peer at once, however good it is, and let slow ones have few requests.
/// Trust is no part of this: a transfer asks suspects after all others, and does not ask banned peers.
package enum PeerSelection {
    package static let failurePenalty = Duration.seconds(30)
    package static let busyPenalty = Duration.seconds(2)
    /// With this many more requests in flight than the least loaded peer has, one is no better for being near.
    package static let nearLimit = 8
    /// Nor is one that takes this many times as long as the fastest to its first byte, and so much longer.
    package static let slowFactor = 8.0
    package static let slowMargin = Duration.milliseconds(50)
    /// How long after the last request a time to the first byte counts for that.
    package static let slowMemory = Duration.seconds(30)
    /// Shorter times to the first byte count as this, in nanoseconds: below it differences say nothing.
    static let shortestTime = 1e6

    /// What decides when a peer is asked.
    struct Candidate: Sendable {
        var nearness: Nearness
        var isPenalised: Bool
        var inFlight: Int
        /// The mean time to the first byte, in nanoseconds; the usual one where it is not known.
        var firstByte: Double
        /// The same where it is known and counts against the peer for being slow.
        var recentFirstByte: Double?

        var cost: Double { Double(inFlight + 1) * firstByte }
    }

    /// Draws that all follow from one random number: to ask the system for each costs more than all else.
    private struct Draws {
        var state: UInt64

        /// A number below `bound`, from the upper half of a linear congruential generator (Knuth's MMIX).
        mutating func next(below bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(truncatingIfNeeded: ((state >> 32) &* UInt64(truncatingIfNeeded: bound)) >> 32)
        }
    }

    /// The indices of the candidates, in the order in which they are to be asked.
    static func order(_ candidates: [Candidate], using random: inout some RandomNumberGenerator) -> [Int] {
        var draws = Draws(state: random.next())
        var ordered: [Int] = []
        ordered.reserveCapacity(candidates.count)
        for isPenalised in [false, true] {
            var rest = candidates.indices.filter { candidates[$0].isPenalised == isPenalised }
            while !rest.isEmpty {
                let next = draw(candidates, among: preferred(candidates, among: rest), using: &draws)
                rest.removeAll { $0 == next }
                ordered.append(next)
            }
        }
        return ordered
    }

    /// Draws two at random, and chooses the one with the lower cost.
    ///
    /// - Parameter among: indices of candidates; not empty.
    private static func draw(_ candidates: [Candidate], among: [Int], using draws: inout Draws) -> Int {
        guard among.count > 1 else { return among.first ?? 0 }
        let first = draws.next(below: among.count)
        var second = draws.next(below: among.count - 1)
        if second >= first { second += 1 }
        let (one, other) = (among[first], among[second])
        return candidates[other].cost < candidates[one].cost ? other : one
    }

    /// The nearest candidates that are not passed over; there is always one.
    private static func preferred(_ candidates: [Candidate], among rest: [Int]) -> [Int] {
        // Where all are equally near, the draw spreads them well enough.
        guard rest.contains(where: { candidates[$0].nearness != candidates[rest[0]].nearness }) else { return rest }
        let leastInFlight = rest.lazy.map { candidates[$0].inFlight }.min() ?? 0
        let able = rest.filter { candidates[$0].inFlight - leastInFlight < nearLimit }
        let fastest = able.lazy.compactMap { candidates[$0].recentFirstByte }.min() ?? 0
        let limit = max(fastest * slowFactor, fastest + Double(slowMargin.clampedNanoseconds))
        let quick = able.filter { candidates[$0].recentFirstByte.map { $0 <= limit } ?? true }
        let nearest = quick.lazy.map { candidates[$0].nearness }.min()
        return quick.filter { candidates[$0].nearness == nearest }
    }
}
