import Glibc

/// The time of day, for what people read.
enum WallClock {
    /// The time, in seconds since 1970.
    static var now: Double {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
    }
}
