import NIOCore

/// When bytes may go so that no more than so many go in a second: a token bucket, kept as the moment at which all bytes
/// that were granted will have gone at that rate. A value without a clock.
///
/// Whoever asks gets a moment, in the order of asking. Transfers that ask for one chunk of the same size after the
/// other so get the same share each.
struct RateLimit: Hashable, Sendable {
    /// How much may go at once after a rest, as the time that it takes at the rate.
    static let burst = TimeAmount.milliseconds(100)
    /// The slowest that a transfer becomes for others, in bytes per second: more at a time have to wait.
    static let slowestTransfer = 64 << 10
    /// How many bytes are asked for at a time.
    static let chunks = (16 << 10)...(128 << 10)

    private let bytesPerSecond: Double
    private var settledAt = NIODeadline.uptimeNanoseconds(0)

    /// - Parameter bytesPerSecond: at least one.
    init(bytesPerSecond: Int) {
        self.bytesPerSecond = Double(max(1, bytesPerSecond))
    }

    /// Grants bytes.
    ///
    /// - Returns: when they may go: now, or later.
    mutating func grant(_ count: Int, now: NIODeadline) -> NIODeadline {
        let start = max(settledAt, now - Self.burst)
        // A century is enough, and does not overflow.
        let nanoseconds = min(Double(max(0, count)) / bytesPerSecond * 1e9, 3e18)
        settledAt = start + .nanoseconds(Int64(nanoseconds))
        return max(start, now)
    }

    /// How many transfers at a time are not too slow for the other side at this rate.
    static func transfers(atRate bytesPerSecond: Int) -> Int {
        max(1, bytesPerSecond / slowestTransfer)
    }
}
