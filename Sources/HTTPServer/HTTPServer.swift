import Glibc
import HTTPLimits
import Listening
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import ServiceLifecycle
import Synchronization
import Time

/// A small HTTP/1.1 server for everything but the data path: metrics, health, the debug page, the node's identity.
///
/// It answers GET and HEAD, and POST for actions. Each request has a task of its own, a deadline, and a bounded size.
///
/// Some connections are reserved for health checks, which get an answer however many others are silent, slow or busy:
/// - While more connections are open than are not reserved, each new one has the oldest idle one closed.
/// - As many requests run at a time as connections are not reserved. The server answers others with 503, except health
///   checks.
public final class HTTPServer: Service {
    /// Answers a request. The server cancels the task when the client is gone or the deadline has passed.
    public typealias Handler = @Sendable (ServerRequest) async -> ServerResponse

    /// The settings.
    public struct Configuration: Sendable {
        /// The address to listen on; `nil` for all addresses of the machine.
        public var host: String?
        /// The port; with 0 the system chooses one.
        public var port: Int
        /// The setting that names the address, for messages.
        public var setting = "the address"
        /// The most connections at a time.
        public var maximumConnections = 64
        /// The connections among them that are reserved for health checks, at least one.
        public var reservedConnections = 8
        /// The time for a request to arrive, from its first byte or from the start of the connection.
        public var requestTimeout = Duration.seconds(10)
        /// The time to make a response and to send it.
        public var responseTimeout = Duration.seconds(30)
        /// The time that a connection stays open between requests.
        public var idleTimeout = Duration.seconds(60)
        /// The time to send a response before its connection closes for a new one.
        public var leavingTimeout = Duration.seconds(1)
        /// The time to make a response once the client has closed its side. Longer work is for a client that has left.
        public var halfClosedTimeout = Duration.seconds(2)
        /// The time that responses may take once the server shuts down.
        public var shutdownGrace = Duration.seconds(2)

        /// The defaults for everything but the address.
        public init(host: String?, port: Int) {
            self.host = host
            self.port = port
        }
    }

    /// The handlers of the server, by path.
    public struct Routes: Sendable {
        /// Answers to GET and HEAD.
        public var reads: [String: Handler]
        /// Answers to POST.
        public var actions: [String: Handler]
        /// The paths of health checks, which the server answers even while it is busy.
        public var health: Set<String>

        /// Names the handlers.
        public init(reads: [String: Handler], actions: [String: Handler] = [:], health: Set<String> = []) {
            self.reads = reads
            self.actions = actions
            self.health = health
        }
    }

    /// The server cannot listen on the address.
    public struct CannotListen: Error, CustomStringConvertible {
        let address: String
        let setting: String
        let reason: String

        /// What failed and what to do about it.
        public var description: String {
            "cannot listen on \(address): \(reason). Choose another \(setting) or stop what uses it."
        }
    }

    private let configuration: Configuration
    private let routes: Routes
    private let group: any EventLoopGroup
    private let logger: Logger
    private let connections = OpenConnections()
    private let places: RequestPlaces
    private let channel = Mutex<(any Channel)?>(nil)

    /// Makes a server that does not listen yet.
    public init(configuration: Configuration, routes: Routes, group: any EventLoopGroup, logger: Logger) {
        self.configuration = configuration
        self.routes = routes
        self.group = group
        self.logger = logger
        places = RequestPlaces(limit: configuration.unreservedConnections)
    }

    /// Listens.
    ///
    /// - Returns: The address of the listener.
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

    /// Stops to listen, gives requests in flight a moment to end, and closes all connections.
    public func shutdown() async {
        if let channel = channel.withLock({ $0.take() }) { try? await channel.close() }
        for channel in connections.all {
            channel.pipeline.fireUserInboundEventTriggered(ServerConnection.EndStreams())
            channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        }
        await waitUntilClosed(for: configuration.shutdownGrace)
        for channel in connections.all { channel.close(promise: nil) }
        await waitUntilClosed(for: configuration.shutdownGrace)
    }

    /// Serves until the surrounding service group shuts down or the task is cancelled.
    public func run() async throws {
        let address = try await start()
        logger.debug(
            "HTTP server listening",
            metadata: ["address": "\(address.map { "\($0)" } ?? "")", "setting": "\(configuration.setting)"]
        )
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
            // One read accepts one connection, so the limit is exact.
            .serverChannelOption(.maxMessagesPerRead, value: 1)
            .serverChannelInitializer { [connections, configuration] channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([
                        AcceptPause(),
                        ConnectionLimiter(
                            limit: configuration.maximumConnections,
                            idleLimit: configuration.unreservedConnections,
                            connections: connections,
                            makeRoom: { _ in connections.makeRoom() }
                        ),
                    ])
                }
            }
            // A client may close its side after its request, as `printf … | nc` does.
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { [configuration, routes, connections, places] channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([
                        HTTPResponseEncoder(),
                        ByteToMessageHandler(DecoderLimits.makeRequestDecoder()),
                        HTTPServerPipelineHandler(),
                        ServerConnection(
                            configuration: configuration,
                            routes: routes,
                            connections: connections,
                            places: places
                        ),
                    ])
                }
            }
    }

    private func waitUntilClosed(for duration: Duration) async {
        let end = MonotonicTime.now + duration
        while connections.count > 0, MonotonicTime.now < end {
            guard (try? await Task.sleep(for: .milliseconds(5))) != nil else { return }
        }
    }
}

extension HTTPServer.Configuration {
    fileprivate var unreservedConnections: Int { max(1, maximumConnections - max(1, reservedConnections)) }
}
