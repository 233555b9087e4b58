import Glibc
import Logging
import ServiceLifecycle
import Synchronization
import Time

/// The format of log lines.
public enum LogFormat: String, CaseIterable, Sendable {
    /// For people.
    case text
    /// For programs: one JSON object a line.
    case json

    /// Text on a terminal, JSON elsewhere.
    public static var automatic: LogFormat { isatty(STDERR_FILENO) == 1 ? .text : .json }
}

/// The output of log lines on standard error, with repeated failures summarised.
///
/// As a service it writes the summaries regularly, and at the end.
public final class LogOutput: Service {
    /// The lowest level whose lines are limited. Below it each line is an event of its own.
    static let limitedLevel = Logger.Level.warning

    private let format: LogFormat
    private let writeBytes: @Sendable ([UInt8]) -> Void
    private let limiter = Mutex<[Logger.Level: RepetitionLimiter]>([:])

    /// An output on standard error.
    public convenience init(format: LogFormat) {
        self.init(
            format: format,
            writeBytes: { line in
                // One call a line, so that the lines of several threads do not mix.
                line.withUnsafeBytes { _ = Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
            }
        )
    }

    /// An output that passes lines to a function.
    public convenience init(format: LogFormat, write: @escaping @Sendable (String) -> Void) {
        self.init(format: format, writeBytes: { write(String(decoding: $0, as: UTF8.self)) })
    }

    private init(format: LogFormat, writeBytes: @escaping @Sendable ([UInt8]) -> Void) {
        self.format = format
        self.writeBytes = writeBytes
    }

    /// A logger that writes to this output.
    public func logger(label: String, level: Logger.Level) -> Logger {
        var logger = Logger(label: label) { _ in OutputLogHandler(output: self) }
        logger.logLevel = level
        return logger
    }

    /// Writes the summaries of all windows.
    public func flush() {
        write { limiter, now in limiter.finish(now: now) }
    }

    /// Writes summaries until the task is cancelled or the service shuts down.
    public func run() async throws {
        try? await cancelWhenGracefulShutdown {
            while true {
                try await Task.sleep(for: .seconds(10))
                self.write { limiter, now in limiter.expire(now: now) }
            }
        }
        flush()
    }

    fileprivate func log(_ level: Logger.Level, _ message: Logger.Message, _ metadata: Logger.Metadata) {
        guard level >= Self.limitedLevel else { return writeLine(level, message, metadata) }
        let text = "\(message)"
        let (isWritten, before) = limiter.withLock { limiters in
            limiters[level, default: RepetitionLimiter()]
                .admit(text, details: metadata.fingerprint, now: .now)
        }
        for summary in before { write(summary, level) }
        if isWritten { writeLine(level, message, metadata) }
    }

    private func write(_ summaries: (inout RepetitionLimiter, MonotonicTime) -> [RepetitionLimiter.Summary]) {
        let now = MonotonicTime.now
        let all = limiter.withLock { limiters in
            limiters.keys.map { level in (level, summaries(&limiters[level, default: RepetitionLimiter()], now)) }
        }
        for (level, summaries) in all {
            for summary in summaries { write(summary, level) }
        }
    }

    private func write(_ summary: RepetitionLimiter.Summary, _ level: Logger.Level) {
        let seconds = summary.duration.components.seconds
        writeLine(level, "\(summary.message): suppressed \(summary.count) similar in \(seconds) s", [:])
    }

    private func writeLine(_ level: Logger.Level, _ message: Logger.Message, _ metadata: Logger.Metadata) {
        let line =
            switch format {
            case .text: TextLogLine.make(time: LogTime.now, level: level, message: message, metadata: metadata)
            case .json: JSONLogLine.make(time: LogTime.now, level: level, message: message, metadata: metadata)
            }
        writeBytes(line.bytes)
    }
}

/// The handler of swift-log's loggers.
private struct OutputLogHandler: LogHandler {
    let output: LogOutput
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .info

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var all = event.metadata ?? [:]
        if !metadata.isEmpty { all.merge(metadata) { own, _ in own } }
        if let error = event.error, all["error"] == nil { all["error"] = "\(error)" }
        output.log(event.level, event.message, all)
    }
}

extension Logger.Metadata {
    /// A hash of the fields.
    fileprivate var fingerprint: Int {
        var hasher = Hasher()
        for (key, value) in sorted(by: { $0.key < $1.key }) {
            hasher.combine(key)
            hasher.combine("\(value)")
        }
        return hasher.finalize()
    }
}
