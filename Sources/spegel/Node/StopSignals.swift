import Glibc
import Logging
import ServiceLifecycle
import UnixSignals

/// SIGTERM and SIGINT: the first asks for an orderly end, the second ends the process at once.
enum StopSignals {
    /// Runs a service until it ends, by itself or since a signal has asked for it.
    static func run(_ service: some Service, logger: Logger) async throws {
        var quiet = logger
        // What the group says of itself below warning is of no use to an admin.
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
                // As a shell tells of a process that a signal has ended. Nothing is tidied up any more.
                _exit(128 + (signal == .sigint ? SIGINT : SIGTERM))
            }
            isStopping = true
            logger.info("shutting down; another signal stops at once", metadata: ["signal": "\(signal)"])
            await serviceGroup.triggerGracefulShutdown()
        }
    }
}
