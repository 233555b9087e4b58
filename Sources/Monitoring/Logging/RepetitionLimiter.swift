public import Time

/// A limiter of similar log lines, which writes a repeated failure once and then counts it.
///
/// Lines with the same message are similar. In each window the limiter admits the same line once, and a few lines with one
/// message. At the end of the window a summary has the number of lines that were left out. Memory is bounded: with too
/// many messages the oldest window ends early.
///
/// A value without a clock: the time is passed in.
public struct RepetitionLimiter: Sendable {
    /// The limits.
    public struct Limits: Sendable {
        /// The length of a window.
        public var window = Duration.seconds(60)
        /// The most lines with one message in a window.
        public var linesPerMessage = 10
        /// The most windows at the same time.
        public var messages = 256

        /// The defaults.
        public init() {}
    }

    /// The lines of a window that were left out.
    public struct Summary: Hashable, Sendable {
        /// The message that the lines have in common.
        public var message: String
        /// The number of lines.
        public var count: Int
        /// The length of the window.
        public var duration: Duration
    }

    private struct Window {
        var start: MonotonicTime
        var written: Set<Int> = []
        var suppressed = 0
    }

    private let limits: Limits
    private var windows: [String: Window] = [:]

    /// A limiter that has admitted no line.
    public init(limits: Limits = Limits()) {
        self.limits = limits
    }

    /// The number of windows.
    var messageCount: Int { windows.count }

    /// Admits a line or leaves it out.
    ///
    /// - Parameters:
    ///   - message: the text that similar lines have in common.
    ///   - details: a hash of the rest of the line.
    /// - Returns: whether to write the line, and the summaries to write before it.
    public mutating func admit(
        _ message: String,
        details: Int,
        now: MonotonicTime
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

    /// Ends the windows whose time is over.
    ///
    /// - Returns: the summaries to write.
    public mutating func expire(now: MonotonicTime) -> [Summary] {
        windows.filter { now - $0.value.start >= limits.window }.keys.sorted().flatMap { end($0, now: now) }
    }

    /// Ends all windows.
    ///
    /// - Returns: the summaries to write.
    public mutating func finish(now: MonotonicTime) -> [Summary] {
        windows.keys.sorted().flatMap { end($0, now: now) }
    }

    private mutating func end(_ message: String, now: MonotonicTime) -> [Summary] {
        guard let window = windows.removeValue(forKey: message), window.suppressed > 0 else { return [] }
        return [Summary(message: message, count: window.suppressed, duration: now - window.start)]
    }
}
