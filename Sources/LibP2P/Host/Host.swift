import Crypto
import Logging
import Membership
import Multiformats
import NIOCore
import NIOPosix
import Synchronization
import Time

/// A libp2p node over TCP. It listens, dials, secures and multiplexes connections, and opens and accepts streams.
///
/// It answers identify and ping. ``shutdown()`` must end it.
public final class Host: Sendable {
    struct State {
        var table: ConnectionTable
        var backoff = DialBackoff()
        var servers: [any Channel] = []
        var bound: [Multiaddr] = []
        /// The cached result of ``Host/listenAddresses``.
        var reachable: (addresses: [Multiaddr], expiry: MonotonicTime)?
        var isStarted = false
        var sharedIdentity = SharedIdentity()
        var subscribers: [UInt64: AsyncStream<HostEvent>.Continuation] = [:]
        var nextSubscriber: UInt64 = 0

        // Called under the lock, so that events come in the order of the table's changes. A task that an event
        // resumes may be in the middle of its cancellation on another thread, which must not wait for the lock.
        // So the end of a subscription does nothing, and `publish` removes ended subscriptions.
        mutating func publish(_ event: HostEvent) {
            for (id, subscriber) in subscribers {
                if case .terminated = subscriber.yield(event) { subscribers[id] = nil }
            }
        }
    }

    /// The number of events that a slow subscriber may lag behind before it loses the oldest.
    static let eventBuffer = 1024

    let configuration: HostConfiguration
    let keyPair: KeyPair
    let tls: TLSContexts
    /// The Noise key of all connections, by which the host recognises itself.
    let noiseKey = Curve25519.KeyAgreement.PrivateKey()
    let resources: HostResources
    package let group: any EventLoopGroup
    let logger: Logger
    let handlers = ProtocolHandlers()
    let tasks = TaskTracker()
    let state: Mutex<State>

    /// - Parameters:
    ///   - configuration: The listen addresses and limits.
    ///   - keyPair: The identity of this node.
    ///   - group: The event loops; they must outlive the host.
    ///   - logger: The logger.
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

    /// The connected peers.
    public var connectedPeers: [PeerID] { state.withLock { Array($0.table.connections.keys) } }

    /// Whether a peer is connected.
    public func isConnected(to peer: PeerID) -> Bool {
        state.withLock { $0.table.connections[peer] != nil }
    }

    /// The executor of the event loop of a peer's connection; `nil` without one. A task there that uses a stream of the
    /// connection changes no thread.
    public func taskExecutor(for peer: PeerID) -> (any TaskExecutor)? {
        state.withLock { $0.table.connections[peer]?.first?.taskExecutor }
    }

    /// The remote addresses of the connections to a peer.
    public func remoteAddresses(of peer: PeerID) -> [Multiaddr] {
        state.withLock { $0.table.connections[peer]?.map(\.remoteAddress) ?? [] }
    }

    /// The number of running stream handlers and identify exchanges.
    package var runningTaskCount: Int { tasks.count }

    /// The identify message of a connected peer; `nil` before it came.
    public func identifyInfo(of peer: PeerID) -> IdentifyInfo? {
        state.withLock { $0.table.identified[peer] }
    }

    /// The events from now on. Each access is a new subscription. A subscriber that lags by more than 1024 events loses
    /// the oldest.
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

    /// Accepts a protocol, before or after the start. Connected peers learn of it by identify push.
    ///
    /// - Parameters:
    ///   - protocolID: The protocol's name, at most 1023 bytes.
    ///   - handler: Called with each stream, on the event loop of its connection: it must not compute for long there.
    ///     When it returns, the stream is dropped.
    public func setHandler(for protocolID: String, _ handler: @escaping @Sendable (MuxedStream) async -> Void) {
        guard handlers.set(handler, for: protocolID) else { return }
        pushIdentify()
    }

    /// Connects to a peer unless it is connected.
    ///
    /// Joins a dial of the same peer in flight. The backoff of an address is 250 ms after the first failure and doubles
    /// with each further one, up to 30 s.
    ///
    /// - Throws: ``HostError``, or `CancellationError`.
    public func connect(to peer: PeerInfo) async throws {
        _ = try await connection(to: peer)
    }

    /// Connects to the peer at an address, also to one in backoff.
    ///
    /// - Parameter address: The address; if it ends in `/p2p/ID`, the peer must have that id.
    /// - Returns: The id that the peer proved in the handshake.
    /// - Throws: ``HostError``, or the error of the handshake.
    public func connect(to address: Multiaddr) async throws -> PeerID {
        if let id = address.peerID {
            _ = try await connection(to: PeerInfo(id: id, addresses: [address]), isPersistent: true)
            return id
        }
        return try await dial(address, expecting: nil).remotePeer
    }

    /// Opens a stream on an existing or a new connection.
    ///
    /// - Parameters:
    ///   - peer: The peer, with addresses in case it is not connected.
    ///   - protocols: The acceptable protocols, the preferred one first.
    /// - Throws: ``HostError``, ``StreamError``, ``MultistreamError``, ``YamuxError``, or `CancellationError`.
    public func openStream(to peer: PeerInfo, protocols: [String]) async throws -> MuxedStream {
        let connection = try await connection(to: peer)
        do {
            return try await connection.openStream(protocols: protocols)
        } catch YamuxError.goingAway, YamuxError.streamIDsExhausted, StreamError.connectionClosed {
            // The connection ended just now. Use another or a new one.
            let other = try await self.connection(to: peer, otherThan: connection)
            return try await other.openStream(protocols: protocols)
        }
    }

    /// Closes all connections to a peer.
    public func disconnect(from peer: PeerID) {
        let connections = state.withLock { $0.table.connections[peer] ?? [] }
        for connection in connections { connection.close(reason: "disconnected") }
    }

    /// Closes the connections to peers that have proven only a cluster key which this node accepts no more. One that is in
    /// use is closed once it is not, at the latest after ten seconds.
    public func closeFormerMembers() async {
        guard let membership = configuration.membership else { return }
        for attempt in 0...100 {
            let accepted = Set(membership.keys.all.map(\.fingerprint))
            let former = state.withLock { $0.table.connections.values.joined() }.filter { connection in
                !(connection.membership.map(accepted.contains) ?? false)
            }
            if former.isEmpty { return }
            for connection in former where attempt == 100 || !connection.activity.use.isInUse {
                connection.close(reason: "the cluster key has changed")
            }
            if (try? await Task.sleep(for: .milliseconds(100))) == nil { return }
        }
    }

    /// Ends the host: sends a go-away to all peers, closes all connections, and waits for the handlers, at most
    /// ``HostConfiguration/shutdownTimeout``; then it cancels them.
    public func shutdown() async {
        let (connections, pending, servers) = state.withLock { state in
            let (connections, pending) = state.table.close()
            defer { state.servers = [] }
            return (connections, pending, state.servers)
        }
        for server in servers { try? await server.close() }
        for channel in pending { channel.close(promise: nil) }
        for connection in connections { connection.close(reason: "host shutting down") }
        for channel in connections.map(\.channel) + pending { try? await channel.closeFuture.get() }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { [tasks] in await tasks.waitUntilIdle() }
            group.addTask { [configuration] in try? await Task.sleep(for: configuration.shutdownTimeout) }
            _ = await group.next()
            group.cancelAll()
        }
        tasks.cancelAll()
        // Breaks reference cycles: a handler may hold the owner of this host.
        handlers.removeAll()
        let subscribers = state.withLock { state in
            defer { state.subscribers = [:] }
            return Array(state.subscribers.values)
        }
        for subscriber in subscribers { subscriber.finish() }
    }

    // MARK: Connections

    /// Adds a connection to the table, on its event loop and before it receives anything.
    func register(_ connection: Connection) throws {
        let excess = try state.withLock { state in
            if try state.table.add(connection) { state.publish(.connected(connection.remotePeer)) }
            if connection.isInbound, let machine = connection.remoteAddress.ipAddress {
                state.backoff.forget(machine: machine)
            }
            return state.table.trim(sparing: connection)
        }
        for unused in excess { unused.close(reason: "trimmed: unused above the high-water mark") }
        watchDuplicates(of: connection)
        resources.count { counters in
            counters.connectionsTrimmed += excess.count
            counters.connectionsOpened[connection.kind, default: 0] += 1
            if connection.isInbound {
                counters.inboundConnectionsOpened += 1
            } else {
                counters.outboundConnectionsOpened += 1
            }
        }
        logger.debug(
            "peer connected",
            metadata: [
                "peer": "\(connection.remotePeer)", "address": "\(connection.remoteAddress)",
                "inbound": .stringConvertible(connection.isInbound),
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
        logger.debug(
            "peer disconnected",
            metadata: ["peer": "\(connection.remotePeer)", "address": "\(connection.remoteAddress)"]
        )
    }
}
