import ArgumentParser
import Glibc
import LibP2P
import Logging
import Multiformats
import NIOPosix
import Routing
import ServiceLifecycle

/// A node that the interoperation tests control. Each line of JSON on standard input is a command, and each line on
/// standard output its answer. The log goes to standard error.
@main
struct InteroperationNode: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "interoperation-node",
        abstract: "A node of the DHT for the interoperation tests, controlled by lines of JSON."
    )

    @Option(help: "The address to listen on.")
    var listen = "/ip4/127.0.0.1/tcp/0"

    @Option(name: .customLong("security"), help: "A security protocol: tls or noise; both by default.")
    var securities: [Security] = []

    @Option(help: "The prefix of /kad/1.0.0 in the name of the protocol.")
    var prefix = "/ipfs"

    @Option(help: "The registry port of all nodes.")
    var registryPort: UInt16 = 5000

    /// Runs until the command `quit` or the end of standard input, which also means that the tests have ended.
    func run() async throws {
        // The end of standard input reveals a reader that has gone away.
        signal(SIGPIPE, SIG_IGN)
        LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
        let logger = Self.logger(.debug)
        var settings = HostConfiguration(
            listenAddresses: [try Multiaddr(listen)],
            agentVersion: "interoperation-node/1"
        )
        if !securities.isEmpty { settings.securities = securities.map(\.protocol) }
        let host = Host(
            configuration: settings,
            keyPair: KeyPair(),
            group: MultiThreadedEventLoopGroup.singleton,
            logger: logger
        )
        let router = DHTRouter(
            host: host,
            protocolPrefix: prefix,
            registryPort: registryPort,
            source: nil,
            logger: logger
        )
        host.setHandler(for: Echo.protocolID) { await Echo.serve($0) }
        try await host.start()
        // In dependency order. The end of the session ends the others; a signal kills the process.
        var configuration = ServiceGroupConfiguration(
            services: [
                .init(service: HostService(host: host)),
                .init(service: router),
                .init(
                    service: Session(host: host, router: router, protocolPrefix: prefix),
                    successTerminationBehavior: .gracefullyShutdownGroup
                ),
            ],
            logger: Self.logger(.warning)
        )
        configuration.maximumGracefulShutdownDuration = .seconds(10)
        try await ServiceGroup(configuration: configuration).run()
    }

    enum Security: String, ExpressibleByArgument {
        case tls, noise

        var `protocol`: SecurityProtocol {
            switch self {
            case .tls: .tls
            case .noise: .noise
            }
        }
    }

    private static func logger(_ level: Logger.Level) -> Logger {
        var logger = Logger(label: "node")
        logger.logLevel = level
        return logger
    }
}

/// Keeps the host until all its users have ended.
private struct HostService: Service {
    let host: Host

    func run() async throws {
        try? await gracefulShutdown()
        await host.shutdown()
    }
}
