import Glibc
import Logging
import ServiceLifecycle
import UnixSignals

/// SIGTERM and SIGINT: the first signal starts a graceful shutdown, the second ends the process at once.
enum StopSignals {
    /// Runs a service until it ends by itself or by a signal.
    static func run(_ service: some Service, logger: Logger) async throws {
        var quiet = logger
        // An admin does not need the group's own messages below warning.
        quiet.logLevel = max(.warning, logger.logLevel)
        let serviceGroup = ServiceGroup(configuration: ServiceGroupConfiguration(services: [service], logger: quiet))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await serviceGroup.run() }
            tasks.addTask { await follow(serviceGroup, logger: logger) }
            try await tasks.next()
            tasks.cancelAll()
        }
    }

    private static func follow(_ serviceGroup: ServiceGroup, logger: Logger) async {
        var isStopping = false
        for await signal in await UnixSignalsSequence(trapping: .sigterm, .sigint) {
            guard !isStopping else {
                logger.error("stopping at once", metadata: ["signal": "\(signal)"])
                // A shell's exit code for a process that a signal has ended. There is no cleanup.
                _exit(128 + (signal == .sigint ? SIGINT : SIGTERM))
            }
            isStopping = true
            logger.info("shutting down; another signal stops at once", metadata: ["signal": "\(signal)"])
            await serviceGroup.triggerGracefulShutdown()
        }
    }
}
