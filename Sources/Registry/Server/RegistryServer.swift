import ContentStore
import CoreMetrics
import Glibc
import Listening
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import OCI
import Routing
import ServiceLifecycle
import Splicing
import Synchronization

/// The registry of a node: answers the distribution API from the node's own content, and from other nodes where the
/// node has not got it.
///
/// Everything that concerns one connection happens on one event loop, the transfer from a peer included.
public final class RegistryServer: Service {
    private struct State {
        var channel: (any Channel)?
        var wasStarted = false
    }

    private let services: RegistryServices
    private let group: any EventLoopGroup
    /// What the connections of each event loop share, made when it is first needed.
    private let loops: [ObjectIdentifier: NIOLoopBoundBox<RegistryLoop?>]
    private let connections = OpenConnections()
    private let idleSweep: IdleSweep
    private let state = Mutex(State())

    /// Makes a server that is not started yet.
    ///
    /// - Parameters:
    ///   - store: where the node's content is opened.
    ///   - index: what the node is known to hold; entries that turn out to be wrong are removed.
    ///   - router: finds the nodes that hold what this one does not.
    ///   - group: the event loops; their life is the caller's affair.
    ///   - readiness: what `/readyz` answers.
    ///   - stalls: what has not moved for too long; `/livez` fails while there is anything.
    ///   - labels: the registries that metrics are told apart by.
    ///   - metricsFactory: what is counted goes there.
    public init(
        configuration: RegistryConfiguration,
        store: any ContentStore,
        index: ContentIndex,
        router: any Router,
        group: any EventLoopGroup,
        readiness: @escaping @Sendable () -> Readiness,
        stalls: @escaping @Sendable () -> [String] = { [] },
        labels: RegistryLabels = RegistryLabels(configured: nil),
        metricsFactory: any MetricsFactory = NOOPMetricsHandler.instance,
        logger: Logger
    ) {
        services = RegistryServices(
            configuration: configuration,
            store: store,
            index: index,
            router: router,
            readiness: readiness,
            stalls: stalls,
            telemetry: Telemetry(factory: metricsFactory, labels: labels, logger: logger)
        )
        self.group = group
        var loops: [ObjectIdentifier: NIOLoopBoundBox<RegistryLoop?>] = [:]
        for eventLoop in group.makeIterator() {
            loops[ObjectIdentifier(eventLoop)] = .makeEmptyBox(eventLoop: eventLoop)
        }
        self.loops = loops
        idleSweep = IdleSweep(
            limit: configuration.clients.unreservedConnections,
            connections: connections,
            waitingSince: { channel in
                try? channel.pipeline.syncOperations.handler(type: ClientConnection.self).waitingSince
            },
            crowded: { [rules = services.rules] in rules.setCrowded($0) }
        )
    }

    /// What the server has done and is doing.
    public var metrics: MetricsSnapshot {
        var snapshot = services.telemetry.metrics.snapshot
        snapshot.uploads = MetricsSnapshot.Transfers(services.uploads.counts)
        snapshot.downloads = MetricsSnapshot.Transfers(services.permits.counts)
        return snapshot
    }

    /// The requests for content that are being answered, and how many were answered since the start.
    public var contentRequests: (running: Int, ended: Int) { services.telemetry.metrics.clients.contentRequests }

    /// What came from other nodes and what could not, over time.
    public var history: TransferHistory { services.telemetry.history }

    /// The recent failures, the newest first.
    public var failures: [FailureLog.Entry] { services.telemetry.failures }

    /// The time that ``history`` and ``failures`` go by, in seconds since 1970.
    public static var wallClock: Double { WallClock.now }

    /// The address that is listened on; `nil` before ``start()`` and after ``shutdown()``.
    public var address: SocketAddress? { state.withLock { $0.channel?.localAddress } }

    /// The connections of clients.
    var openChannels: [any Channel] { connections.all }

    /// Whether only the reserved connections are left.
    var isCrowded: Bool { services.rules.isCrowded }

    /// The bytes reserved now for content that waits until its digest was verified.
    var heldBytes: Int { services.verificationBudget.reserved }

    /// The transfers that the kernel carries out now, and all so far.
    var splices: (current: Int, begun: Int) { (services.splicer.current, services.splicer.begun) }

    /// Listens.
    ///
    /// - Returns: the address that is listened on, with the port that the system chose where none was given.
    /// - Throws: a ``RegistryError`` when the address cannot be listened on.
    @discardableResult
    public func start() async throws -> SocketAddress {
        let isFirst = state.withLock { state in
            defer { state.wasStarted = true }
            return !state.wasStarted
        }
        guard isFirst else { throw RegistryError.alreadyStarted }
        let channel = try await listen()
        guard let address = channel.localAddress else {
            throw RegistryError.cannotListen(services.configuration.host, reason: "the socket has no address")
        }
        state.withLock { $0.channel = channel }
        services.telemetry.record(.listening(address, congestionControl: services.congestionControl.first))
        return address
    }

    /// Stops to listen, lets the answers that are under way come to their end within the time of grace, then closes
    /// all connections. Returns when they are closed.
    public func shutdown() async {
        services.rules.drain()
        if let channel = state.withLock({ $0.channel.take() }) {
            try? await channel.close()
        }
        for channel in connections.all { channel.pipeline.fireUserInboundEventTriggered(ClientConnection.Drain()) }
        await waitUntilClosed(for: services.configuration.clients.shutdownGrace)
        let left = connections.all
        if !left.isEmpty {
            services.telemetry.record(.graceEnded(connections: left.count))
            for channel in left { channel.close(promise: nil) }
            await waitUntilClosed(for: .seconds(5))
        }
        for eventLoop in group.makeIterator() {
            guard let loop = loops[ObjectIdentifier(eventLoop)] else { continue }
            try? await eventLoop.submit { loop.value?.pool.close() }.get()
        }
        services.splicer.close()
    }

    /// Serves until the surrounding service group shuts down gracefully or the task is cancelled.
    public func run() async throws {
        try await start()
        try? await gracefulShutdown()
        await shutdown()
    }

    // MARK: -

    private func listen() async throws(RegistryError) -> any Channel {
        let configuration = services.configuration
        let hosts = configuration.host.isEmpty ? ["::", "0.0.0.0"] : [configuration.host]
        var failure = RegistryError.cannotListen(configuration.host, reason: "there is no address")
        for host in hosts {
            do {
                return try await makeBootstrap().bind(host: host, port: configuration.port).get()
            } catch {
                let name = host.contains(":") ? "[\(host)]:\(configuration.port)" : "\(host):\(configuration.port)"
                failure = Self.explain(error, address: name)
            }
        }
        throw failure
    }

    private static func explain(_ error: any Error, address: String) -> RegistryError {
        if let error = error as? RegistryError { return error }
        return switch (error as? IOError)?.errnoCode {
        case EADDRINUSE: .addressInUse(address)
        case EADDRNOTAVAIL: .addressNotAvailable(address)
        case EACCES, EPERM: .notPermitted(address)
        default: .cannotListen(address, reason: shortDescription(error))
        }
    }

    private func makeBootstrap() -> ServerBootstrap {
        let configuration = services.configuration
        return ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: Int32(clamping: configuration.clients.backlog))
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer { [connections, services, idleSweep] channel in
                channel.eventLoop.makeCompletedFuture {
                    try services.congestionControl.prepare(channel)
                    try channel.pipeline.syncOperations.addHandlers([
                        AcceptPause { services.telemetry.record(.acceptFailed) },
                        ConnectionLimiter(
                            limit: configuration.clients.maximumConnections,
                            idleLimit: configuration.clients.unreservedConnections,
                            connections: connections,
                            makeRoom: { idleSweep.start(on: $0) },
                            changed: { services.telemetry.record(.connectionsChanged(by: $0)) }
                        ),
                    ])
                }
            }
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.writeBufferWaterMark, value: ConnectionRules.writeBuffer)
            .childChannelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(
                    minimum: 512,
                    initial: 2048,
                    maximum: ConnectionRules.maximumReadSize
                )
            )
            .childChannelInitializer { [services, loops] channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let box = loops[ObjectIdentifier(channel.eventLoop)] else {
                        throw ChannelError.inappropriateOperationForState
                    }
                    let loop =
                        box.value ?? RegistryLoop(eventLoop: channel.eventLoop, configuration, services.telemetry)
                    box.value = loop
                    try NodeConnections.prepareIncoming(channel, Self.makeConnection(services, loop))
                }
            }
    }

    /// What handles a client's requests at the end of its channel's pipeline.
    static func makeConnection(_ services: RegistryServices, _ loop: RegistryLoop) -> ClientConnection {
        ClientConnection(
            responder: RegistryResponder(services: services, loop: loop),
            rules: services.rules,
            telemetry: loop.telemetry,
            eventLoop: loop.eventLoop
        )
    }

    // MARK: For people

    /// The transfers that are under way, the oldest first. Nothing is kept for this: the connections are asked, each on
    /// its event loop.
    ///
    /// - Parameter limit: the most that are returned.
    /// - Returns: these, and how many there are.
    public func liveTransfers(limit: Int) async -> (transfers: [LiveTransfer], count: Int) {
        let byLoop = Dictionary(grouping: openChannels) { ObjectIdentifier($0.eventLoop) }
        let futures = byLoop.values.compactMap { channels in
            channels.first?.eventLoop.submit {
                channels.compactMap { channel in
                    let handler = try? channel.pipeline.syncOperations.handler(type: ClientConnection.self)
                    return handler?.liveTransfer
                }
            }
        }
        var all: [LiveTransfer] = []
        for future in futures { all += (try? await future.get()) ?? [] }
        all.sort { ($1.duration, $0.id) < ($0.duration, $1.id) }
        return (Array(all.prefix(max(0, limit))), all.count)
    }

    // MARK: -

    private func waitUntilClosed(for duration: Duration) async {
        let clock = ContinuousClock()
        let end = clock.now + duration
        while connections.count > 0, clock.now < end {
            // Cancellation must not turn the wait into a busy loop.
            guard (try? await clock.sleep(for: .milliseconds(10))) != nil else { return }
        }
    }
}

extension ClientSettings {
    fileprivate var unreservedConnections: Int { max(1, maximumConnections - max(0, reservedConnections)) }
}

extension MetricsSnapshot.Transfers {
    fileprivate init(_ counts: (running: Int, waiting: Int, refused: Int)) {
        self.init(running: counts.running, waiting: counts.waiting, refused: counts.refused)
    }
}
