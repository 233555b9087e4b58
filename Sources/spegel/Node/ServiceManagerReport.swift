import Routing

/// What is to be said to the service manager: that the node has started, in which state it is, that it still moves, and
/// that it ends. See `sd_notify(3)`.
///
/// A value without a clock: it is asked for the next message every now and then.
struct ServiceManagerReport {
    private var hasStarted = false
    private var isStopping = false
    private var status: String?

    /// What the state calls for now; `nil` when the service manager knows it all.
    ///
    /// - Parameter stalls: the parts that are stuck. While there is one, the watchdog is not told that all is well, so
    ///   that it restarts the node in the end.
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
        // A line break would end the field.
        let line = String(text.map { $0.isNewline ? " " : $0 })
        if line != status {
            status = line
            lines.append("STATUS=\(line)")
        }
        if tellsWatchdog, stalls.isEmpty { lines.append("WATCHDOG=1") }
        return lines.isEmpty ? nil : lines.joined(separator: "\n")
    }

    /// That the node ends; `nil` when it was said before.
    mutating func stoppingMessage() -> String? {
        guard !isStopping else { return nil }
        isStopping = true
        return "STOPPING=1\nSTATUS=shutting down"
    }
}
