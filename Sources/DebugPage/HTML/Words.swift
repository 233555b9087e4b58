import DebugAPI

/// Numbers, sizes and times for the page, in English.
enum Words {
    /// `1.2 GB`: powers of a thousand.
    static func bytes(_ count: some BinaryInteger) -> String {
        let count = Double(count)
        guard count >= 1000 else { return "\(Int(max(0, count))) B" }
        var (value, unit) = (count / 1000, "kB")
        for next in ["MB", "GB", "TB", "PB"] where value >= 999.5 { (value, unit) = (value / 1000, next) }
        return "\(short(value)) \(unit)"
    }

    /// `850 MB/s`
    static func rate(_ bytes: some BinaryInteger, in duration: Duration) -> String? {
        let seconds = duration.milliseconds / 1000
        guard seconds > 0, bytes > 0 else { return nil }
        return self.bytes(Int(min(Double(bytes) / seconds, 1e15))) + "/s"
    }

    /// `12.5 ms`, `4.2 s`
    static func time(_ duration: Duration) -> String {
        let milliseconds = duration.milliseconds
        switch milliseconds {
        case ..<0.0005: return "0 ms"
        case ..<1: return "\(decimals(milliseconds, 2)) ms"
        case ..<999.5: return "\(short(milliseconds)) ms"
        case ..<99_950: return "\(short(milliseconds / 1000)) s"
        default: return age(duration)
        }
    }

    /// `3 d 4 h`, `5 min`: the two largest units.
    static func age(_ duration: Duration) -> String {
        let seconds = max(0, duration.components.seconds)
        if seconds < 60 { return "\(seconds) s" }
        if seconds < 3600 { return "\(seconds / 60) min" }
        if seconds < 86_400 { return "\(seconds / 3600) h \(seconds % 3600 / 60) min" }
        return "\(seconds / 86_400) d \(seconds % 86_400 / 3600) h"
    }

    /// `12,345`
    static func count(_ number: some BinaryInteger) -> String {
        let digits = String(number.magnitude)
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { text += "," }
            text.append(digit)
        }
        return (number < 0 ? "-" : "") + text
    }

    /// `1 peer`, `2 peers`
    static func count(_ number: some BinaryInteger, _ one: String, _ many: String) -> String {
        "\(count(number)) \(number == 1 ? one : many)"
    }

    /// The first characters of a digest, which identify it. Other texts stay whole.
    static func key(_ key: String) -> String {
        guard let colon = key.firstIndex(of: ":"), ["sha256", "sha512"].contains(key[..<colon]),
            !key.contains("/")
        else { return key }
        let hex = key[key.index(after: colon)...]
        return hex.count > 16 ? "\(key[...colon])\(hex.prefix(12))…" : key
    }

    /// The start and the end of the id of a peer.
    static func peer(_ id: String) -> String {
        id.count > 20 ? "\(id.prefix(6))…\(id.suffix(8))" : id
    }

    /// `14:05:09`, in UTC.
    static func clock(_ time: Double) -> String {
        guard time.isFinite, time >= 0, time < 1e11 else { return "" }
        let seconds = Int(time) % 86_400
        return [seconds / 3600, seconds % 3600 / 60, seconds % 60].map { $0 < 10 ? "0\($0)" : "\($0)" }
            .joined(separator: ":")
    }

    /// At most three significant digits: `1.3`, `12.5`, `125`.
    private static func short(_ value: Double) -> String {
        decimals(value, value < 9.95 ? 1 : value < 99.5 ? 1 : 0)
    }

    private static func decimals(_ value: Double, _ count: Int) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "" }
        let scale = count == 0 ? 1 : count == 1 ? 10 : 100
        let scaled = Int((value * Double(scale)).rounded())
        guard count > 0, scaled % scale != 0 else { return String(scaled / scale) }
        let fraction = String(scaled % scale)
        let padded = String(repeating: "0", count: max(0, count - fraction.count)) + fraction
        return "\(scaled / scale).\(padded.hasSuffix("0") ? String(padded.dropLast()) : padded)"
    }
}
