import ArgumentParser
import Glibc
import LibP2P
import Logging
import Multiformats
import NIOPosix
import Routing

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

    @Option(name: .customLong("security"), help: "A security protocol to take, tls or noise; both by default.")
    var securities: [String] = []

    @Option(help: "What stands before /kad/1.0.0 in the name of the protocol.")
    var prefix = "/ipfs"

    @Option(help: "The port that the registries of all nodes are said to have.")
    var registryPort: UInt16 = 5000

    /// Runs until the command `quit`, or until standard input ends, as when the tests are gone.
    func run() async throws {
        // A reader that went away is noticed by the end of standard input.
        signal(SIGPIPE, SIG_IGN)
        LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
        let logger = Self.logger()
        let host = Host(
            configuration: HostConfiguration(
                listenAddresses: [try Multiaddr(listen)],
                agentVersion: "interoperation-node/1"
            ),
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
        try await host.start()
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                do { try await router.run() } catch {
                    logger.error("the router ended", metadata: ["error": "\(error)"])
                }
            }
            group.addTask { await Session(host: host, router: router, protocolPrefix: prefix).run() }
            await group.next()
            group.cancelAll()
        }
        await host.shutdown()
    }

    private static func logger() -> Logger {
        var logger = Logger(label: "node")
        logger.logLevel = .debug
        return logger
    }
}
