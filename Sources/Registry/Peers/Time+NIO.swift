import NIOCore
import Time

extension NIODeadline {
    /// The same point in time: both count the nanoseconds of the system's monotonic clock.
    init(_ time: MonotonicTime) {
        self = .uptimeNanoseconds(UInt64(max(0, time.nanoseconds)))
    }
}
