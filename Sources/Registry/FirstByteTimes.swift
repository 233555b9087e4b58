import NIOCore

/// How long peers usually take to the first byte of a body, and so when one is slow: a mean and a mean deviation that
/// follow what is seen, as TCP does it for its retransmissions (RFC 6298).
struct FirstByteTimes {
    /// So many times must have been seen before they say what is usual.
    static let minimumCount = 8
    /// The delay before that.
    static let initialDelay = TimeAmount.milliseconds(250)
    /// The bounds of the delay. Below the lower one a second request costs more than it saves.
    static let bounds = TimeAmount.milliseconds(20)...TimeAmount.seconds(1)

    private var count = 0
    /// In nanoseconds.
    private var mean = 0.0
    private var deviation = 0.0

    /// Takes in the time that a peer took.
    mutating func add(_ time: TimeAmount) {
        let sample = Double(max(0, time.nanoseconds))
        if count == 0 {
            mean = sample
            deviation = sample / 2
        } else {
            deviation += (abs(sample - mean) - deviation) / 4
            mean += (sample - mean) / 8
        }
        count = min(count + 1, Self.minimumCount)
    }

    /// How long to wait for a peer's first byte before a second one is asked.
    var hedgeDelay: TimeAmount {
        guard count >= Self.minimumCount else { return Self.initialDelay }
        let delay = TimeAmount.nanoseconds(Int64(min(mean + 4 * deviation, 1e12)))
        return min(max(delay, Self.bounds.lowerBound), Self.bounds.upperBound)
    }
}
