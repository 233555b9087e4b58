import Glibc

/// The time of a log line: RFC 3339 in UTC with milliseconds, `2026-11-21T23:36:02.104Z`.
enum LogTime {
    static var now: timespec {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return time
    }

    static func text(_ time: timespec) -> String {
        var seconds = time.tv_sec
        var parts = tm()
        gmtime_r(&seconds, &parts)
        var text = ""
        text.reserveCapacity(24)
        append(Int(parts.tm_year) + 1900, 4, "-", to: &text)
        append(Int(parts.tm_mon) + 1, 2, "-", to: &text)
        append(Int(parts.tm_mday), 2, "T", to: &text)
        append(Int(parts.tm_hour), 2, ":", to: &text)
        append(Int(parts.tm_min), 2, ":", to: &text)
        append(Int(parts.tm_sec), 2, ".", to: &text)
        append(time.tv_nsec / 1_000_000, 3, "Z", to: &text)
        return text
    }

    private static func append(_ number: Int, _ width: Int, _ end: String, to text: inout String) {
        var limit = 10
        for _ in 1..<width {
            if number < limit { text += "0" }
            limit *= 10
        }
        text += String(number)
        text += end
    }
}
