import Logging
import Synchronization

/// Records log messages.
final class RecordingLog: LogHandler, Sendable {
    private let kept = Mutex<[(level: Logger.Level, text: String)]>([])

    /// What was logged at level warning and above.
    var warnings: [String] { kept.withLock { $0 }.filter { $0.level >= .warning }.map(\.text) }

    /// What was logged at level info and above.
    var messages: [String] { kept.withLock { $0 }.map(\.text) }

    var metadata: Logger.Metadata {
        get { [:] }
        set {}
    }

    var logLevel: Logger.Level {
        get { .trace }
        set {}
    }

    subscript(metadataKey _: String) -> Logger.Metadata.Value? {
        get { nil }
        set {}
    }

    func log(event: LogEvent) {
        guard event.level >= .info else { return }
        kept.withLock { $0.append((event.level, "\(event.message)")) }
    }
}
