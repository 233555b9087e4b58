import Glibc

/// The time of a log line: RFC 3339 in UTC with milliseconds, `2026-11-21T23:36:02.104Z`.
enum LogTime {
    static var now: timespec {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return time
    }

    static func append(_ time: timespec, to line: inout LogLineBuffer) {
        var seconds = time.tv_sec
        var parts = tm()
        gmtime_r(&seconds, &parts)
        line.append(Int(parts.tm_year) + 1900, width: 4)
        line.append("-")
        line.append(Int(parts.tm_mon) + 1, width: 2)
        line.append("-")
        line.append(Int(parts.tm_mday), width: 2)
        line.append("T")
        line.append(Int(parts.tm_hour), width: 2)
        line.append(":")
        line.append(Int(parts.tm_min), width: 2)
        line.append(":")
        line.append(Int(parts.tm_sec), width: 2)
        line.append(".")
        line.append(time.tv_nsec / 1_000_000, width: 3)
        line.append("Z")
    }
}
