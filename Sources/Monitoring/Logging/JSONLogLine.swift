import Glibc
import Logging

/// A log line for programs: one JSON object, with the names and levels of Go's slog, which Spegel in Go uses.
///
/// `{"time":"2026-11-21T23:36:02.104Z","level":"INFO","msg":"mirrored request","bytes":240,"outcome":"complete"}`
///
/// It writes the text itself: `JSONEncoder` cannot keep the order of members, and takes twice as long.
enum JSONLogLine {
    private static let ownNames = ["level", "msg", "time"]

    static func make(
        time: timespec,
        level: Logger.Level,
        message: Logger.Message,
        metadata: Logger.Metadata
    ) -> LogLineBuffer {
        // Most lines are shorter.
        var line = LogLineBuffer(capacity: 640)
        line.append("{\"time\":\"")
        LogTime.append(time, to: &line)
        line.append("\",\"level\":\"")
        line.append(name(of: level))
        line.append("\",\"msg\":")
        appendString(message.description, to: &line)
        // No name twice: readers differ in which of two members they take.
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) where !ownNames.contains(key) {
            append(key, value, to: &line)
        }
        for key in ownNames {
            guard let value = metadata[key] else { continue }
            var name = key + "_"
            while metadata[name] != nil { name += "_" }
            append(name, value, to: &line)
        }
        line.append("}\n")
        return line
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
    private static func append(_ name: String, _ value: Logger.MetadataValue, to line: inout LogLineBuffer) {
        line.append(",")
        appendString(name, to: &line)
        line.append(":")
        append(value, to: &line)
    }

    private static func append(_ value: Logger.MetadataValue, to line: inout LogLineBuffer) {
        switch value {
        case .string(let text): appendString(text, to: &line)
        case .stringConvertible(let value):
            switch value {
            case let value as Int64: line.append(String(value))
            case let value as Int: line.append(String(value))
            case let value as Bool: line.append(String(value))
            // JSON has no infinity and no NaN.
            case let value as Double: line.append(value.isFinite ? String(value) : "null")
            default: appendString("\(value)", to: &line)
            }
        case .array(let items):
            line.append("[")
            for (index, item) in items.enumerated() {
                if index > 0 { line.append(",") }
                append(item, to: &line)
            }
            line.append("]")
        case .dictionary(let members):
            line.append("{")
            for (index, member) in members.sorted(by: { $0.key < $1.key }).enumerated() {
                if index > 0 { line.append(",") }
                appendString(member.key, to: &line)
                line.append(":")
                append(member.value, to: &line)
            }
            line.append("}")
        @unknown default: appendString("\(value)", to: &line)
        }
    }

    /// Appends a string, in which nothing ends the line, moves a cursor or ends the string.
    private static func appendString(_ string: String, to line: inout LogLineBuffer) {
        line.append("\"")
        // Most texts need no look at each scalar.
        if isPlain(string) {
            line.append(string)
        } else {
            for scalar in string.unicodeScalars { append(scalar, to: &line) }
        }
        line.append("\"")
    }

    private static func isPlain(_ string: String) -> Bool {
        var string = string
        // Without a branch in its loop, so that the compiler takes many bytes at a time.
        return string.withUTF8 { bytes in
            bytes.reduce(0 as UInt8) { $0 | ($1 < 0x20 || $1 >= 0x7F || $1 == 0x22 || $1 == 0x5C ? 1 : 0) } == 0
        }
    }

    private static func append(_ scalar: Unicode.Scalar, to line: inout LogLineBuffer) {
        switch scalar.value {
        case 0x22: line.append("\\\"")
        case 0x5C: line.append("\\\\")
        case 0x0A: line.append("\\n")
        case 0x0D: line.append("\\r")
        case 0x09: line.append("\\t")
        case 0..<0x20, 0x7F...0x9F, 0x2028, 0x2029:
            let digits = String(scalar.value, radix: 16)
            line.append("\\u" + String(repeating: "0", count: 4 - digits.count) + digits)
        default: line.append(scalar: scalar)
        }
    }
}
