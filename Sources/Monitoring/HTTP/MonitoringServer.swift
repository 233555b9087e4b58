import Glibc
import Listening
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import ServiceLifecycle
import Synchronization

/// A small HTTP server for what a person or Prometheus wants to know of the process. It answers GET and HEAD, and POST
/// where something is to be done.
///
/// It is not the data plane, so each request has a task of its own; how many there are at a time is bounded by the
/// number of connections, and each has a deadline.
public final class MonitoringServer: Service {
    /// Answers a request; the task is cancelled when nobody waits any more.
    public typealias Handler = @Sendable (MonitoringRequest) async -> MonitoringResponse

    /// The settings.
    public struct Configuration: Sendable {
        /// The address to listen on; `nil` for all addresses of the machine.
        public var host: String?
        /// The port; 0 lets the system choose.
        public var port: Int
        /// The setting that says where to listen, for messages.
        public var setting = "the address"
        /// The most connections at a time; others wait to be accepted.
        public var maximumConnections = 64
        /// How long a request may take to come, from its first byte or the start of the connection.
        public var requestTimeout = Duration.seconds(10)
        /// How long an answer may take to be made and sent.
        public var responseTimeout = Duration.seconds(30)
        /// How long a connection may stay open between requests.
        public var idleTimeout = Duration.seconds(60)
        /// How long answers may go on once the server shuts down.
        public var shutdownGrace = Duration.seconds(2)

        /// The defaults for all but the address.
        public init(host: String?, port: Int) {
            self.host = host
            self.port = port
        }
    }

    /// The address cannot be listened on.
    public struct CannotListen: Error, CustomStringConvertible {
        let address: String
        let setting: String
        let reason: String

        /// What to do about it.
        public var description: String {
            "cannot listen on \(address): \(reason). Choose another \(setting) or stop what uses it."
        }
    }

    private let configuration: Configuration
    private let routes: Routes
    private let group: any EventLoopGroup
    private let logger: Logger
    private let connections = OpenConnections()
    private let channel = Mutex<(any Channel)?>(nil)

    /// Makes a server that is not started yet.
    ///
    /// - Parameters:
    ///   - routes: the answers to GET and HEAD by their paths.
    ///   - actions: the answers to POST by their paths.
    public init(
        configuration: Configuration,
        routes: [String: Handler],
        actions: [String: Handler] = [:],
        group: any EventLoopGroup,
        logger: Logger
    ) {
        self.configuration = configuration
        self.routes = Routes(reads: routes, actions: actions)
        self.group = group
        self.logger = logger
    }

    /// Listens.
    ///
    /// - Returns: the address that is listened on.
    /// - Throws: ``CannotListen``.
    @discardableResult
    public func start() async throws -> SocketAddress? {
        let hosts = configuration.host.map { [$0] } ?? ["::", "0.0.0.0"]
        var failure: (any Error)?
        for host in hosts {
            do {
                let channel = try await bootstrap.bind(host: host, port: configuration.port).get()
                self.channel.withLock { $0 = channel }
                return channel.localAddress
            } catch {
                failure = error
            }
        }
        throw CannotListen(
            address: "\(configuration.host ?? ""):\(configuration.port)",
            setting: configuration.setting,
            reason: failure.map(Self.reason) ?? "there is no address"
        )
    }

    /// Stops to listen, lets the answers under way come to their end for a moment, and closes all connections.
    public func shutdown() async {
        if let channel = channel.withLock({ $0.take() }) { try? await channel.close() }
        for channel in connections.all {
            channel.pipeline.fireUserInboundEventTriggered(MonitoringConnection.EndStreams())
            channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        }
        await waitUntilClosed(for: configuration.shutdownGrace)
        for channel in connections.all { channel.close(promise: nil) }
        await waitUntilClosed(for: configuration.shutdownGrace)
    }

    /// Serves until the surrounding service group shuts down or the task is cancelled.
    public func run() async throws {
        let address = try await start()
        logger.debug("metrics are served", metadata: ["address": "\(address.map { "\($0)" } ?? "")"])
        try? await gracefulShutdown()
        await shutdown()
    }

    private static func reason(_ error: any Error) -> String {
        (error as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(error)"
    }

    private var bootstrap: ServerBootstrap {
        ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 64)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer { [connections, configuration] channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([
                        AcceptPause(),
                        ConnectionLimiter(limit: configuration.maximumConnections, connections: connections),
                    ])
                }
            }
            .childChannelInitializer { [configuration, routes] channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([
                        HTTPResponseEncoder(),
                        ByteToMessageHandler(MonitoringRequest.makeDecoder()),
                        HTTPServerPipelineHandler(),
                        HTTPServerProtocolErrorHandler(),
                        MonitoringConnection(configuration: configuration, routes: routes),
                    ])
                }
            }
    }

    private func waitUntilClosed(for duration: Duration) async {
        let end = ContinuousClock.now + duration
        while !connections.all.isEmpty, ContinuousClock.now < end {
            guard (try? await Task.sleep(for: .milliseconds(5))) != nil else { return }
        }
    }
}
