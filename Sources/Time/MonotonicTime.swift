import Glibc

/// A point in time on a clock that never goes back, in nanoseconds since an origin that is fixed for one node.
///
/// The pure parts take the time as an argument of this type; a simulation passes whatever time it likes. A program has
/// two such clocks, which differ only in what they do while the machine is suspended. Their times must not be compared:
///
/// - ``now`` stands still, as the timers of NIO do. It is right for all that this node waits for or remembers on its own:
///   after a suspension a request still has the time that it had before.
/// - ``nowCountingSuspension`` goes on. It is right for what other nodes count as well: a lease that this node holds, and
///   provider records. With the other clock a leader would lead on after another node has taken over.
public struct MonotonicTime: Hashable, Sendable, Comparable {
    /// Nanoseconds since the origin.
    public var nanoseconds: Int64

    /// The origin.
    public static let zero = MonotonicTime(nanoseconds: 0)

    /// Later than anything that happens.
    public static let distantFuture = MonotonicTime(nanoseconds: .max)

    /// A point in time `nanoseconds` after the origin.
    public init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    /// The later time; stays within what can be represented.
    public static func + (time: MonotonicTime, duration: Duration) -> MonotonicTime {
        let (sum, overflow) = time.nanoseconds.addingReportingOverflow(duration.clampedNanoseconds)
        return MonotonicTime(nanoseconds: overflow ? (duration < .zero ? .min : .max) : sum)
    }

    /// The time that has passed between two points; stays within what can be represented.
    public static func - (later: MonotonicTime, earlier: MonotonicTime) -> Duration {
        let (difference, overflow) = later.nanoseconds.subtractingReportingOverflow(earlier.nanoseconds)
        return .nanoseconds(overflow ? (later < earlier ? .min : .max) : difference)
    }

    /// Whether the left point is the earlier.
    @inlinable
    public static func < (left: MonotonicTime, right: MonotonicTime) -> Bool {
        left.nanoseconds < right.nanoseconds
    }
}

extension Duration {
    /// The whole nanoseconds of the duration, at most what 64 bits hold (292 years).
    package var clampedNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, carry) = scaled.addingReportingOverflow(attoseconds / 1_000_000_000)
        guard !overflow, !carry else { return seconds < 0 ? .min : .max }
        return sum
    }
}

extension MonotonicTime {
    /// The time of the system's monotonic clock, which stands still during a suspension. Pure code never calls it: the
    /// shell passes the time in.
    public static var now: MonotonicTime { read(CLOCK_MONOTONIC) }

    /// The time since the machine started, suspensions included.
    public static var nowCountingSuspension: MonotonicTime { read(CLOCK_BOOTTIME) }

    private static func read(_ clock: clockid_t) -> MonotonicTime {
        var now = timespec()
        clock_gettime(clock, &now)
        return MonotonicTime(nanoseconds: Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec))
    }
}
