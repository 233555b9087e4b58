import Time

/// Decides when idle checks may read, and how much.
///
/// The policy in full: a reader works on one part of a file at a time. After each part it rests for nine times as long
/// as the part took, so that it never takes more than a tenth of a processor or of a disk, and for as long as the rate
/// limit asks for. While the node answers requests for content or checks what one waits for, and for a second after, it
/// does not read at all.
struct IdlePace {
    /// What a node does for others.
    struct Traffic: Equatable, Sendable {
        /// Requests that are being answered, and checks that run for one.
        var running = 0
        /// Requests that were answered since the start.
        var ended = 0
    }

    /// The bytes of a part.
    static let partSize: Int64 = 1 << 20
    /// The bytes per second.
    static let rate: Int64 = 64 << 20
    /// How much longer than its work a rest is.
    static let restFactor = 9
    /// How long the node must have been idle.
    static let quiet = Duration.seconds(1)
    /// The time between two looks at a busy node.
    static let lookInterval = Duration.milliseconds(250)

    private var lastEnded: Int?
    private var quietSince: MonotonicTime?

    /// The time to rest after a part.
    static func rest(after work: Duration, bytes: Int64) -> Duration {
        // Negative: the clock has gone wrong. A day: the machine slept.
        let work = max(.zero, min(work, .seconds(60)))
        let byRate = Duration.nanoseconds(max(0, min(bytes, partSize)) * 1_000_000_000 / rate) - work
        return max(work * restFactor, byRate)
    }

    /// Whether the next part may be read.
    mutating func mayRead(_ traffic: Traffic, now: MonotonicTime) -> Bool {
        let isQuiet = traffic.running <= 0 && traffic.ended == (lastEnded ?? traffic.ended)
        lastEnded = traffic.ended
        guard isQuiet else {
            quietSince = nil
            return false
        }
        let since = quietSince ?? now
        quietSince = since
        return now - since >= Self.quiet
    }
}
