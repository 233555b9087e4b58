import Monitoring
import Routing
import ServiceLifecycle

/// Tells systemd how the node does, where systemd has started it and wants to know.
struct ServiceManagerService: Service {
    /// How often it is looked whether there is something to tell.
    private static let interval = Duration.seconds(2)

    private let socket: NotifySocket
    private let interval: Duration
    private let tellsWatchdog: Bool
    private let readiness: @Sendable () -> Readiness
    private let stalls: @Sendable () -> [String]

    /// Takes what the environment says, `NOTIFY_SOCKET` and `WATCHDOG_USEC`; `nil` where nobody wants to know.
    ///
    /// - Parameter processID: this process; a watchdog that is meant for another one is not told.
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
            // A third of the limit: one message may come late, or be lost.
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
