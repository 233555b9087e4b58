import Routing

/// The messages for the service manager: start, state, watchdog, end. See `sd_notify(3)`.
///
/// A value without a clock: the caller asks for the next message at intervals.
struct ServiceManagerReport {
    private var hasStarted = false
    private var isStopping = false
    private var status: String?

    /// The message for the current state; `nil` if the service manager knows it already.
    ///
    /// - Parameter stalls: the stuck parts. While there is one, the watchdog gets no message, so that it restarts the
    ///   node in the end.
    mutating func message(readiness: Readiness, stalls: [String], tellsWatchdog: Bool) -> String? {
        var lines: [String] = []
        if !hasStarted {
            hasStarted = true
            lines.append("READY=1")
        }
        let text: String =
            switch readiness {
            case _ where !stalls.isEmpty: "stuck: \(stalls.joined(separator: ", "))"
            case .ready(let state): "ready: \(state)"
            case .notReady(let reason): "not ready: \(reason)"
            }
        // A line break ends the field.
        let line = String(text.map { $0.isNewline ? " " : $0 })
        if line != status {
            status = line
            lines.append("STATUS=\(line)")
        }
        if tellsWatchdog, stalls.isEmpty { lines.append("WATCHDOG=1") }
        return lines.isEmpty ? nil : lines.joined(separator: "\n")
    }

    /// The message that the node ends; `nil` the second time.
    mutating func stoppingMessage() -> String? {
        guard !isStopping else { return nil }
        isStopping = true
        return "STOPPING=1\nSTATUS=shutting down"
    }
}
