import Glibc

/// A point in time in the form of Kubernetes' MicroTime: RFC 3339 with six digits after the second.
enum MicroTime {
    /// The text of a number of microseconds since 1970.
    static func text(microseconds: Int64) -> String {
        var seconds = time_t(microseconds / 1_000_000)
        var fields = tm()
        gmtime_r(&seconds, &fields)
        let date = [fields.tm_year + 1900, fields.tm_mon + 1, fields.tm_mday].map { padded(Int64($0), 2) }
        let time = [fields.tm_hour, fields.tm_min, fields.tm_sec].map { padded(Int64($0), 2) }
        let fraction = padded(microseconds % 1_000_000, 6)
        return "\(date.joined(separator: "-"))T\(time.joined(separator: ":")).\(fraction)Z"
    }

    /// The text of the current time of the machine's clock.
    static func now() -> String {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return text(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
    }

    private static func padded(_ number: Int64, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(width - digits.count, 0)) + digits
    }
}
