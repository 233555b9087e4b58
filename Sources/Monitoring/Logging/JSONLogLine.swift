import Glibc
import Logging

/// A log line for programs: one JSON object, with the names and levels of Go's slog, which Spegel in Go uses.
///
/// `{"time":"2026-11-21T23:36:02.104Z","level":"INFO","msg":"mirrored request","bytes":240,"outcome":"complete"}`
///
/// It writes the text itself: `JSONEncoder` cannot keep the order of members, and takes twice as long.
enum JSONLogLine {
    private static let ownNames: Set<String> = ["time", "level", "msg"]

    static func make(
        time: timespec,
        level: Logger.Level,
        message: Logger.Message,
        metadata: Logger.Metadata
    ) -> String {
        var line = ""
        // The length of most lines.
        line.reserveCapacity(512)
        line += "{\"time\":\"\(LogTime.text(time))\",\"level\":\"\(name(of: level))\",\"msg\":"
        appendString("\(message)", to: &line)
        // No name twice: readers differ in which of two members they take.
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) where !ownNames.contains(key) {
            append(key, value, to: &line)
        }
        for key in ownNames.sorted() {
            guard let value = metadata[key] else { continue }
            var name = key + "_"
            while metadata[name] != nil { name += "_" }
            append(name, value, to: &line)
        }
        return line + "}\n"
    }

    private static func name(of level: Logger.Level) -> String {
        switch level {
        case .trace: "TRACE"
        case .debug: "DEBUG"
        case .info: "INFO"
        case .notice: "NOTICE"
        case .warning: "WARN"
        case .error: "ERROR"
        case .critical: "CRITICAL"
        @unknown default: "ERROR"
        }
    }

    /// Appends a member that is not the first of its object.
    private static func append(_ name: String, _ value: Logger.MetadataValue, to line: inout String) {
        line += ","
        appendString(name, to: &line)
        line += ":"
        append(value, to: &line)
    }

    private static func append(_ value: Logger.MetadataValue, to line: inout String) {
        switch value {
        case .string(let text): appendString(text, to: &line)
        case .stringConvertible(let value):
            switch value {
            case let value as Int64: line += String(value)
            case let value as Int: line += String(value)
            case let value as Bool: line += String(value)
            // JSON has no infinity and no NaN.
            case let value as Double: line += value.isFinite ? String(value) : "null"
            default: appendString("\(value)", to: &line)
            }
        case .array(let items):
            line += "["
            for (index, item) in items.enumerated() {
                if index > 0 { line += "," }
                append(item, to: &line)
            }
            line += "]"
        case .dictionary(let members):
            line += "{"
            for (index, member) in members.sorted(by: { $0.key < $1.key }).enumerated() {
                if index > 0 { line += "," }
                appendString(member.key, to: &line)
                line += ":"
                append(member.value, to: &line)
            }
            line += "}"
        @unknown default: appendString("\(value)", to: &line)
        }
    }

    /// Appends a string, in which nothing ends the line, moves a cursor or ends the string.
    private static func appendString(_ string: String, to line: inout String) {
        line += "\""
        // Most texts need no look at each scalar.
        let isPlain = string.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F && $0 != 0x22 && $0 != 0x5C }
        if isPlain {
            line += string
        } else {
            for scalar in string.unicodeScalars { append(scalar, to: &line) }
        }
        line += "\""
    }

    private static func append(_ scalar: Unicode.Scalar, to line: inout String) {
        switch scalar.value {
        case 0x22: line += "\\\""
        case 0x5C: line += "\\\\"
        case 0x0A: line += "\\n"
        case 0x0D: line += "\\r"
        case 0x09: line += "\\t"
        case 0..<0x20, 0x7F...0x9F, 0x2028, 0x2029:
            let digits = String(scalar.value, radix: 16)
            line += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        default: line.unicodeScalars.append(scalar)
        }
    }
}
