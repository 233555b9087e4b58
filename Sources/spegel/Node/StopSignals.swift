import Glibc
import Logging
import ServiceLifecycle
import UnixSignals

/// SIGTERM, SIGINT and SIGHUP: the first signal starts a graceful shutdown, the second ends the process at once.
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

    /// Lets a signal end the process as usual where it is process 1, as in a container: the kernel ignores signals to
    /// process 1 that have no handler. A service that drains takes over its signals later.
    static func endProcessOne() {
        guard getpid() == 1 else { return }
        for number in [SIGTERM, SIGINT, SIGHUP] where !isIgnored(number) {
            signal(number) { _exit(128 + $0) }
        }
    }

    private static func isIgnored(_ number: Int32) -> Bool {
        var action = sigaction()
        guard sigaction(number, nil, &action) == 0 else { return false }
        return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self)
            == unsafeBitCast(SIG_IGN, to: Int.self)
    }

    private static func follow(_ serviceGroup: ServiceGroup, logger: Logger) async {
        var isStopping = false
        // `nohup` makes a process ignore the end of its terminal.
        let signals: [UnixSignal] = isIgnored(SIGHUP) ? [.sigterm, .sigint] : [.sigterm, .sigint, .sighup]
        for await signal in await UnixSignalsSequence(trapping: signals) {
            guard !isStopping else {
                logger.error("stopping at once", metadata: ["signal": "\(signal)"])
                // A shell's exit code for a process that a signal has ended. There is no cleanup.
                _exit(128 + signal.rawValue)
            }
            isStopping = true
            logger.info("shutting down; another signal stops at once", metadata: ["signal": "\(signal)"])
            await serviceGroup.triggerGracefulShutdown()
        }
    }
}
