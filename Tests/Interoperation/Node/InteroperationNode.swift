import ArgumentParser
import Glibc
import LibP2P
import Logging
import Multiformats
import NIOPosix
import Routing
import ServiceLifecycle

/// A node that the interoperation tests steer: commands come as lines of JSON on standard input, and each is answered
/// by one on standard output. The log goes to standard error.
@main
struct InteroperationNode: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "interoperation-node",
        abstract: "A node of the DHT for the interoperation tests, steered by lines of JSON."
    )

    @Option(help: "The address to listen on.")
    var listen = "/ip4/127.0.0.1/tcp/0"

    @Option(name: .customLong("security"), help: "A security protocol to take: tls or noise; both by default.")
    var securities: [Security] = []

    @Option(help: "What stands before /kad/1.0.0 in the name of the protocol.")
    var prefix = "/ipfs"

    @Option(help: "The port that the registries of all nodes are said to have.")
    var registryPort: UInt16 = 5000

    /// Runs until the command `quit`, or until standard input ends, as when the tests are gone.
    func run() async throws {
        // A reader that went away is noticed by the end of standard input.
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
        // In the order of dependence. The end of the session is what ends the others; a signal just kills.
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

/// Keeps the host until all that use it have ended.
private struct HostService: Service {
    let host: Host

    func run() async throws {
        try? await gracefulShutdown()
        await host.shutdown()
    }
}
