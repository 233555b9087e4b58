/// Decides which of many similar lines are written, so that a failure that repeats is told once and then counted.
///
/// Lines with the same message are similar. In each window, the same line is written once, and no more than a few lines
/// with one message; when the window ends, a summary says how many were left out. What is kept is bounded: when there
/// are too many messages, the oldest window ends early.
///
/// A value without a clock: whoever holds it says what time it is.
public struct RepetitionLimiter: Sendable {
    /// How much is let through.
    public struct Limits: Sendable {
        /// How long lines are gathered.
        public var window = Duration.seconds(60)
        /// The most lines with one message in a window.
        public var linesPerMessage = 10
        /// The most messages that are followed at a time.
        public var messages = 256

        /// The defaults.
        public init() {}
    }

    /// Lines that were left out.
    public struct Summary: Hashable, Sendable {
        /// Their message.
        public var message: String
        /// How many they are.
        public var count: Int
        /// For how long they were gathered.
        public var duration: Duration
    }

    private struct Window {
        var start: Duration
        var written: Set<Int> = []
        var suppressed = 0
    }

    private let limits: Limits
    private var windows: [String: Window] = [:]

    /// Nothing was written yet.
    public init(limits: Limits = Limits()) {
        self.limits = limits
    }

    /// How many messages are followed.
    var messageCount: Int { windows.count }

    /// Decides about a line.
    ///
    /// - Parameters:
    ///   - message: what is the same in similar lines.
    ///   - details: a hash of all else; the same line has the same one.
    ///   - now: the time that has passed since some moment.
    /// - Returns: whether to write it, and what has to be said of earlier ones before.
    public mutating func admit(
        _ message: String,
        details: Int,
        now: Duration
    ) -> (isWritten: Bool, before: [Summary]) {
        var summaries: [Summary] = []
        if let window = windows[message], now - window.start >= limits.window {
            summaries += end(message, now: now)
        }
        if windows[message] == nil {
            if windows.count >= limits.messages, let oldest = windows.min(by: { $0.value.start < $1.value.start })?.key
            {
                summaries += end(oldest, now: now)
            }
            windows[message] = Window(start: now)
        }
        guard var window = windows[message] else { return (true, summaries) }
        let isWritten = window.written.count < limits.linesPerMessage && window.written.insert(details).inserted
        if !isWritten { window.suppressed += 1 }
        windows[message] = window
        return (isWritten, summaries)
    }

    /// Ends the windows that have lasted long enough.
    ///
    /// - Returns: what has to be said of them.
    public mutating func expire(now: Duration) -> [Summary] {
        windows.filter { now - $0.value.start >= limits.window }.keys.sorted().flatMap { end($0, now: now) }
    }

    /// Ends all windows, as when the program does.
    public mutating func finish(now: Duration) -> [Summary] {
        windows.keys.sorted().flatMap { end($0, now: now) }
    }

    private mutating func end(_ message: String, now: Duration) -> [Summary] {
        guard let window = windows.removeValue(forKey: message), window.suppressed > 0 else { return [] }
        return [Summary(message: message, count: window.suppressed, duration: now - window.start)]
    }
}
