import Logging
import Synchronization

/// Records log messages.
final class RecordingLog: LogHandler, Sendable {
    private let kept = Mutex<[String]>([])

    /// What was logged at level warning and above.
    var warnings: [String] { kept.withLock { $0 } }

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
        guard event.level >= .warning else { return }
        kept.withLock { $0.append("\(event.message)") }
    }
}
