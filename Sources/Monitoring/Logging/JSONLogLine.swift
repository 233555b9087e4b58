import Glibc
import Logging

/// A log line for programs: one JSON object, with the names and levels that Go's slog, and so Go's Spegel, writes.
///
/// `{"time":"2026-11-21T23:36:02.104Z","level":"INFO","msg":"mirrored request","bytes":240,"outcome":"complete"}`
enum JSONLogLine {
    private static let ownNames: Set<String> = ["time", "level", "msg"]

    static func make(
        time: timespec,
        level: Logger.Level,
        message: Logger.Message,
        metadata: Logger.Metadata
    ) -> String {
        var members: [(String, JSON)] = [
            ("time", .string(LogTime.text(time))),
            ("level", .string(name(of: level))),
            ("msg", .string("\(message)")),
        ]
        // No name twice: an object with a name twice means something else to each who reads it.
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) where !ownNames.contains(key) {
            members.append((key, json(value)))
        }
        for key in ownNames.sorted() {
            guard let value = metadata[key] else { continue }
            var name = key + "_"
            while metadata[name] != nil { name += "_" }
            members.append((name, json(value)))
        }
        return JSON.object(members).text + "\n"
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

    private static func json(_ value: Logger.MetadataValue) -> JSON {
        switch value {
        case .string(let text): .string(text)
        case .stringConvertible(let value):
            switch value {
            case let value as Int64: .integer(Int(value))
            case let value as Int: .integer(value)
            case let value as Bool: .bool(value)
            case let value as Double: .number(value)
            default: .string("\(value)")
            }
        case .array(let items): .array(items.map(json))
        case .dictionary(let members): .object(members.sorted { $0.key < $1.key }.map { ($0.key, json($0.value)) })
        @unknown default: .string("\(value)")
        }
    }
}
