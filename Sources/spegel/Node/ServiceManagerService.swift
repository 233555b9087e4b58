import Monitoring
import Routing
import ServiceLifecycle

/// Reports the node's state to systemd, if systemd has started it and asked for that.
struct ServiceManagerService: Service {
    /// The longest time between two messages.
    private static let interval = Duration.seconds(2)

    private let socket: NotifySocket
    private let interval: Duration
    private let tellsWatchdog: Bool
    private let readiness: @Sendable () -> Readiness
    private let stalls: @Sendable () -> [String]

    /// Reads `NOTIFY_SOCKET` and `WATCHDOG_USEC` from the environment; `nil` without a socket.
    ///
    /// - Parameter processID: this process; a watchdog for another process gets no message.
    init?(
        environment: [String: String],
        processID: Int32,
        readiness: @escaping @Sendable () -> Readiness,
        stalls: @escaping @Sendable () -> [String]
    ) {
        guard let path = environment["NOTIFY_SOCKET"], let socket = NotifySocket(path: path) else { return nil }
        self.socket = socket
        self.readiness = readiness
        self.stalls = stalls
        let isMeant = environment["WATCHDOG_PID"].map { $0 == "\(processID)" } ?? true
        if isMeant, let limit = environment["WATCHDOG_USEC"].flatMap({ Int64($0) }), limit > 0 {
            tellsWatchdog = true
            // A third of the limit: one message may be late, or lost.
            interval = min(Self.interval, max(.microseconds(limit) / 3, .milliseconds(100)))
        } else {
            tellsWatchdog = false
            interval = Self.interval
        }
    }

    func run() async throws {
        var report = ServiceManagerReport()
        while !Task.isShuttingDownGracefully, !Task.isCancelled {
            let message = report.message(readiness: readiness(), stalls: stalls(), tellsWatchdog: tellsWatchdog)
            if let message { socket.send(message) }
            try? await cancelWhenGracefulShutdown { try await Task.sleep(for: interval) }
        }
        if let message = report.stoppingMessage() { socket.send(message) }
    }
}
