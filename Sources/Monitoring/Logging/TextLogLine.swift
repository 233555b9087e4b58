import Glibc
import Logging

/// A log line for people: time, level, message, then the fields.
///
/// `2026-11-21T23:36:02.104Z info    mirrored request bytes=240 outcome=complete`
enum TextLogLine {
    static func make(
        time: timespec,
        level: Logger.Level,
        message: Logger.Message,
        metadata: Logger.Metadata
    ) -> LogLineBuffer {
        let name = level.rawValue + String(repeating: " ", count: max(0, 8 - level.rawValue.count))
        let fields = metadata.sorted { $0.key < $1.key }.map { " \($0.key)=\(quoted("\($0.value)"))" }.joined()
        var line = LogLineBuffer(capacity: 512)
        LogTime.append(time, to: &line)
        line.append(" \(name)\(singleLine("\(message)"))\(fields)\n")
        return line
    }

    /// A value, in quotation marks if it is ambiguous without.
    private static func quoted(_ value: String) -> String {
        let isPlain =
            !value.isEmpty && value.unicodeScalars.allSatisfy { $0.value > 0x20 && $0.value != 0x7F && $0 != "\"" }
        return isPlain ? value : "\"" + singleLine(value).replacing("\"", with: "\\\"") + "\""
    }

    /// Escapes control characters, so that text of peers and clients cannot begin a line or move the cursor.
    private static func singleLine(_ text: String) -> String {
        let isPlain = text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F }
        guard !isPlain else { return text }
        return text.unicodeScalars.map { scalar in
            scalar.value < 0x20 || scalar.value == 0x7F ? "\\u{\(String(scalar.value, radix: 16))}" : String(scalar)
        }.joined()
    }
}
