import Glibc
import Logging
import ServiceLifecycle
import Synchronization

/// How log lines look.
public enum LogFormat: String, CaseIterable, Sendable {
    /// For people.
    case text
    /// For programs: a JSON object on each line.
    case json

    /// Text where somebody reads along, JSON elsewhere.
    public static var automatic: LogFormat { isatty(STDERR_FILENO) == 1 ? .text : .json }
}

/// Where log lines go: standard error, each whole, and not the same failure over and over.
///
/// As a service it says now and then, and at the end, what was left out.
public final class LogOutput: Service {
    /// From this level on lines are counted rather than repeated. Below, each line is an event of its own.
    static let limitedLevel = Logger.Level.warning

    private let format: LogFormat
    private let write: @Sendable (String) -> Void
    private let limiter = Mutex<[Logger.Level: RepetitionLimiter]>([:])
    private let start = ContinuousClock.now

    /// Lines go to standard error.
    public convenience init(format: LogFormat) {
        self.init(format: format) { line in
            var line = line
            // One call for each line, so that lines of several threads do not mix.
            line.withUTF8 { _ = Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
        }
    }

    /// Lines go wherever the function takes them.
    public init(format: LogFormat, write: @escaping @Sendable (String) -> Void) {
        self.format = format
        self.write = write
    }

    /// A logger that writes here.
    public func logger(label: String, level: Logger.Level) -> Logger {
        var logger = Logger(label: label) { _ in OutputLogHandler(output: self) }
        logger.logLevel = level
        return logger
    }

    /// Writes what was left out so far and not told yet.
    public func flush() {
        tell { limiter, now in limiter.finish(now: now) }
    }

    /// Tells of what was left out, until the task is cancelled or the service shuts down.
    public func run() async throws {
        try? await cancelWhenGracefulShutdown {
            while true {
                try await Task.sleep(for: .seconds(10))
                self.tell { limiter, now in limiter.expire(now: now) }
            }
        }
        flush()
    }

    fileprivate func log(_ level: Logger.Level, _ message: Logger.Message, _ metadata: Logger.Metadata) {
        guard level >= Self.limitedLevel else { return writeLine(level, message, metadata) }
        let text = "\(message)"
        let (isWritten, before) = limiter.withLock { limiters in
            limiters[level, default: RepetitionLimiter()]
                .admit(text, details: metadata.fingerprint, now: ContinuousClock.now - start)
        }
        for summary in before { tell(summary, level) }
        if isWritten { writeLine(level, message, metadata) }
    }

    private func tell(_ summaries: (inout RepetitionLimiter, Duration) -> [RepetitionLimiter.Summary]) {
        let now = ContinuousClock.now - start
        let told = limiter.withLock { limiters in
            limiters.keys.map { level in (level, summaries(&limiters[level, default: RepetitionLimiter()], now)) }
        }
        for (level, summaries) in told {
            for summary in summaries { tell(summary, level) }
        }
    }

    private func tell(_ summary: RepetitionLimiter.Summary, _ level: Logger.Level) {
        let seconds = summary.duration.components.seconds
        writeLine(level, "\(summary.message): suppressed \(summary.count) similar in \(seconds) s", [:])
    }

    private func writeLine(_ level: Logger.Level, _ message: Logger.Message, _ metadata: Logger.Metadata) {
        let line =
            switch format {
            case .text: TextLogLine.make(time: LogTime.now, level: level, message: message, metadata: metadata)
            case .json: JSONLogLine.make(time: LogTime.now, level: level, message: message, metadata: metadata)
            }
        write(line)
    }
}

/// What swift-log writes to.
private struct OutputLogHandler: LogHandler {
    let output: LogOutput
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .info

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var all = metadata.merging(event.metadata ?? [:]) { $1 }
        if let error = event.error, all["error"] == nil { all["error"] = "\(error)" }
        output.log(event.level, event.message, all)
    }
}

extension Logger.Metadata {
    /// The same for the same fields.
    fileprivate var fingerprint: Int {
        var hasher = Hasher()
        for (key, value) in sorted(by: { $0.key < $1.key }) {
            hasher.combine(key)
            hasher.combine("\(value)")
        }
        return hasher.finalize()
    }
}
