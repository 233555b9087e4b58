import Time

/// A token bucket: says when bytes may be sent so that a rate is kept. It is stored as the time at which all bytes that
/// were granted will have gone at that rate. A value without a clock.
///
/// Each grant is a time, in the order of asking. Transfers that ask for one chunk of the same size after the other so get
/// the same share each.
package struct RateLimit: Hashable, Sendable {
    /// How much may go at once after a rest, as the time that it takes at the rate.
    package static let burst = Duration.milliseconds(100)
    /// The slowest that a transfer becomes for others, in bytes per second: more at a time have to wait.
    package static let slowestTransfer = 64 << 10
    /// The bounds of a chunk, in bytes.
    package static let chunks = (16 << 10)...(128 << 10)

    /// How many transfers at a time are not too slow for the other side at this rate.
    package let transfers: Int
    /// How many bytes a transfer asks for at a time: less the slower and the more they are, so that each has its turn
    /// several times in a second.
    package let chunk: Int
    private let bytesPerSecond: Double
    private var settledAt = MonotonicTime(nanoseconds: .min)

    /// - Parameters:
    ///   - bytesPerSecond: at least one.
    ///   - maximumTransfers: at a time, whatever the rate allows; at least one.
    package init(bytesPerSecond: Int, maximumTransfers: Int = .max) {
        let rate = max(1, bytesPerSecond)
        self.bytesPerSecond = Double(rate)
        transfers = min(max(1, maximumTransfers), max(1, rate / Self.slowestTransfer))
        chunk = min(max(rate / transfers / 4, Self.chunks.lowerBound), Self.chunks.upperBound)
    }

    /// Grants bytes.
    ///
    /// - Returns: when they may go: now, or later.
    package mutating func grant(_ count: Int, now: MonotonicTime) -> MonotonicTime {
        let start = max(settledAt, now + (.zero - Self.burst))
        // A century is enough, and does not overflow.
        let nanoseconds = min(Double(max(0, count)) / bytesPerSecond * 1e9, 3e18)
        settledAt = start + .nanoseconds(Int64(nanoseconds))
        assert(checkInvariants(now: now))
        return max(start, now)
    }

    /// Whether the bucket is what it should be after a grant: never fuller than the burst.
    package func checkInvariants(now: MonotonicTime) -> Bool {
        transfers >= 1 && Self.chunks.contains(chunk) && settledAt >= now + (.zero - Self.burst)
    }
}
