import Logging
import Multiformats
import NIOCore
import NIOPosix
import Synchronization

/// A libp2p node over TCP: listens, dials, secures and multiplexes connections, and opens and accepts
/// streams on them.
///
/// Answers identify and ping by itself. It must be ended by ``shutdown()``.
public final class Host: Sendable {
    struct State {
        var table: ConnectionTable
        var backoff = DialBackoff()
        var servers: [any Channel] = []
        var bound: [Multiaddr] = []
        /// What the bound addresses stood for when the machine was last asked.
        var reachable: (addresses: [Multiaddr], expiry: ContinuousClock.Instant)?
        var isStarted = false
        var subscribers: [UInt64: AsyncStream<HostEvent>.Continuation] = [:]
        var nextSubscriber: UInt64 = 0

        /// Events come in the order in which the table changes, so this is called within the lock. A task that is
        /// resumed by it may just be being cancelled by another thread, which must therefore not wait for the lock:
        /// nothing is done when a subscription ends, and whoever has gone is noticed here.
        mutating func publish(_ event: HostEvent) {
            for (id, subscriber) in subscribers {
                if case .terminated = subscriber.yield(event) { subscribers[id] = nil }
            }
        }
    }

    /// How many events wait for a slow subscriber before the oldest are dropped.
    static let eventBuffer = 1024

    let configuration: HostConfiguration
    let keyPair: KeyPair
    let tls: TLSContexts
    let resources: HostResources
    package let group: any EventLoopGroup
    let logger: Logger
    let handlers = ProtocolHandlers()
    let tasks = TaskTracker()
    let state: Mutex<State>

    /// - Parameters:
    ///   - configuration: What to listen on, and the limits.
    ///   - keyPair: The identity of this node.
    ///   - group: Whose event loops do the work; it must outlive the host.
    ///   - logger: Where to tell what happens.
    public init(configuration: HostConfiguration, keyPair: KeyPair, group: any EventLoopGroup, logger: Logger) {
        self.configuration = configuration
        self.keyPair = keyPair
        tls = TLSContexts(identity: keyPair, muxers: configuration.offersEarlyMuxer ? ConnectionUpgrader.muxers : [])
        self.group = group
        self.logger = logger
        resources = HostResources(configuration: configuration)
        state = Mutex(State(table: ConnectionTable(settings: configuration)))
        setStandardHandlers()
    }

    /// The id of this node.
    public var peerID: PeerID { keyPair.peerID }

    /// The peers to which there is a connection.
    public var connectedPeers: [PeerID] { state.withLock { Array($0.table.connections.keys) } }

    /// Whether there is a connection to a peer.
    public func isConnected(to peer: PeerID) -> Bool {
        state.withLock { $0.table.connections[peer] != nil }
    }

    /// The addresses at which a connected peer is, as this node sees it.
    public func remoteAddresses(of peer: PeerID) -> [Multiaddr] {
        state.withLock { $0.table.connections[peer]?.map(\.remoteAddress) ?? [] }
    }

    /// How many handlers of streams and exchanges of identify run.
    package var runningTaskCount: Int { tasks.count }

    /// What a connected peer told of itself; `nil` before it did.
    public func identifyInfo(of peer: PeerID) -> IdentifyInfo? {
        state.withLock { $0.table.identified[peer] }
    }

    /// The addresses from which connected peers see this host, those that most peers name first, and how many do. Each
    /// peer has one vote.
    public var observedAddresses: [(address: Multiaddr, peers: Int)] {
        let addresses = state.withLock { $0.table.identified.values.compactMap(\.observedAddress) }
        let counts = addresses.reduce(into: [:]) { $0[$1, default: 0] += 1 }
        return counts.sorted { ($1.value, $0.key.description) < ($0.value, $1.key.description) }
            .map { (address: $0.key, peers: $0.value) }
    }

    /// What happens from now on. Each access is a subscription of its own; a subscriber that falls behind by
    /// more than 1024 events loses the oldest.
    public var events: AsyncStream<HostEvent> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: HostEvent.self,
            bufferingPolicy: .bufferingNewest(Self.eventBuffer)
        )
        let isOpen = state.withLock { state in
            guard !state.table.isClosed else { return false }
            state.nextSubscriber += 1
            state.subscribers[state.nextSubscriber] = continuation
            return true
        }
        if !isOpen { continuation.finish() }
        return stream
    }

    /// Accepts a protocol, before or after the start; peers that are connected already are told by identify push.
    ///
    /// - Parameters:
    ///   - protocolID: The name by which peers ask for it, at most 1023 bytes.
    ///   - handler: Called with each stream. When it returns, the stream ends as if dropped.
    public func setHandler(for protocolID: String, _ handler: @escaping @Sendable (MuxedStream) async -> Void) {
        guard handlers.set(handler, for: protocolID) else { return }
        pushIdentify()
    }

    /// Makes sure that there is a connection to a peer.
    ///
    /// Dials of the same peer under way are joined rather than repeated. An address that failed is not dialled again
    /// for 250 ms, and after each further failure for twice as long, at most 30 s.
    ///
    /// - Throws: ``HostError``, or `CancellationError`.
    public func connect(to peer: PeerInfo) async throws {
        _ = try await connection(to: peer)
    }

    /// Connects to whoever listens at an address. An address that failed a short while ago is dialled nevertheless.
    ///
    /// - Parameter address: The address; if it ends in `/p2p/ID`, that peer must be the one that answers.
    /// - Returns: The id that the peer proved in the handshake.
    /// - Throws: ``HostError``, or what the handshake says.
    public func connect(to address: Multiaddr) async throws -> PeerID {
        if let id = address.peerID {
            _ = try await connection(to: PeerInfo(id: id, addresses: [address]), isPersistent: true)
            return id
        }
        return try await dial(address, expecting: nil).remotePeer
    }

    /// Opens a stream, on an existing connection or a new one.
    ///
    /// - Parameters:
    ///   - peer: The peer, and where to find it if there is no connection.
    ///   - protocols: The acceptable protocols, the preferred one first.
    /// - Throws: ``HostError``, ``StreamError``, ``MultistreamError``, ``YamuxError``, or `CancellationError`.
    public func openStream(to peer: PeerInfo, protocols: [String]) async throws -> MuxedStream {
        let connection = try await connection(to: peer)
        do {
            return try await connection.openStream(protocols: protocols)
        } catch YamuxError.goingAway, YamuxError.streamIDsExhausted, StreamError.connectionClosed {
            // It ended as it was chosen. Another one will do, a new one if need be.
            let other = try await self.connection(to: peer, otherThan: connection)
            return try await other.openStream(protocols: protocols)
        }
    }

    /// Closes all connections with a peer.
    public func disconnect(from peer: PeerID) {
        let connections = state.withLock { $0.table.connections[peer] ?? [] }
        for connection in connections { connection.close(reason: "disconnected") }
    }

    /// Ends the host: says goodbye to all peers, closes all connections, and waits for the handlers to end,
    /// at most ``HostConfiguration/shutdownTimeout``; then they are cancelled.
    public func shutdown() async {
        let (connections, pending, servers) = state.withLock { state in
            let (connections, pending) = state.table.close()
            defer { state.servers = [] }
            return (connections, pending, state.servers)
        }
        for server in servers { try? await server.close() }
        for channel in pending { channel.close(promise: nil) }
        for connection in connections { connection.close(reason: "the host shuts down") }
        for channel in connections.map(\.channel) + pending { try? await channel.closeFuture.get() }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { [tasks] in await tasks.waitUntilIdle() }
            group.addTask { [configuration] in try? await Task.sleep(for: configuration.shutdownTimeout) }
            _ = await group.next()
            group.cancelAll()
        }
        tasks.cancelAll()
        // A handler may hold whatever holds this host.
        handlers.removeAll()
        let subscribers = state.withLock { state in
            defer { state.subscribers = [:] }
            return Array(state.subscribers.values)
        }
        for subscriber in subscribers { subscriber.finish() }
    }

    // MARK: Connections

    /// Takes a connection into the table, on its event loop and before anything is received on it.
    func register(_ connection: Connection) throws {
        let excess = try state.withLock { state in
            if try state.table.add(connection) { state.publish(.connected(connection.remotePeer)) }
            if connection.isInbound, let machine = connection.remoteAddress.ipAddress {
                state.backoff.forget(machine: machine)
            }
            return state.table.trim(sparing: connection)
        }
        for unused in excess { unused.close(reason: "unused, and there are too many connections") }
        resources.count { counters in
            counters.connectionsTrimmed += excess.count
            if connection.isInbound {
                counters.inboundConnectionsOpened += 1
            } else {
                counters.outboundConnectionsOpened += 1
            }
        }
        logger.debug(
            "connected",
            metadata: [
                "peer": "\(connection.remotePeer)", "address": "\(connection.remoteAddress)",
                "inbound": "\(connection.isInbound)",
            ]
        )
        connection.channel.closeFuture.whenComplete { [weak self] _ in self?.unregister(connection) }
        tasks.start { [weak self] in await self?.identify(connection) }
    }

    private func unregister(_ connection: Connection) {
        resources.count { counters in
            if connection.isInbound {
                counters.inboundConnectionsClosed += 1
            } else {
                counters.outboundConnectionsClosed += 1
            }
        }
        state.withLock { state in
            if state.table.remove(connection) { state.publish(.disconnected(connection.remotePeer)) }
        }
        logger.debug("disconnected", metadata: ["peer": "\(connection.remotePeer)"])
    }
}
