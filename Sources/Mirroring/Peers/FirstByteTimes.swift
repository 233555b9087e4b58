import Time

/// The usual time to the first byte of a body, and from when on a peer is late with it: a mean and a mean deviation that
/// follow what is seen, as TCP does it for its retransmissions (RFC 6298).
package struct FirstByteTimes: Sendable {
    /// How many times must have been seen before they say what is usual.
    package static let minimumCount = 8
    /// The delay before that.
    package static let initialDelay = Duration.milliseconds(250)
    /// The bounds of the delay. Below the lower one a hedged request costs more than it saves.
    package static let bounds = Duration.milliseconds(20)...Duration.seconds(1)

    private var count = 0
    /// In nanoseconds.
    package private(set) var mean = 0.0
    private var deviation = 0.0

    package init() {}

    /// Takes in the time that a peer took.
    package mutating func add(_ time: Duration) {
        let sample = Double(max(0, time.clampedNanoseconds))
        if count == 0 {
            mean = sample
            deviation = sample / 2
        } else {
            deviation += (abs(sample - mean) - deviation) / 4
            mean += (sample - mean) / 8
        }
        count = min(count + 1, Self.minimumCount)
    }

    /// How long to wait for a peer's first byte before another peer is asked beside it.
    package var hedgeDelay: Duration {
        guard count >= Self.minimumCount else { return Self.initialDelay }
        let delay = Duration.nanoseconds(Int64(min(mean + 4 * deviation, 1e12)))
        return min(max(delay, Self.bounds.lowerBound), Self.bounds.upperBound)
    }
}
