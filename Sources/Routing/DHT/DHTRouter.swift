import Kademlia
import LibP2P
import Logging
import Multiformats
import NIOCore
import ServiceLifecycle

/// A router over the Kademlia DHT of the cluster.
public final class DHTRouter: Router, Service {
    /// How long a peer may leave a DHT stream idle before it is closed.
    private static let idleStreamTimeout = Duration.seconds(60)

    private let host: Host
    private let node: KademliaNode
    private let transport: HostTransport
    private let bootstrapper: Bootstrapper
    private let protocolID: String
    private let recordsProtocolID: String
    private let known: KnownProviders
    private let zones: PeerZones
    private let logger: Logger

    /// Creates a router over a host that has not started yet.
    ///
    /// - Parameters:
    ///   - protocolPrefix: the prefix of `/kad/1.0.0` and `/records/1.0.0` in the names of the protocols.
    ///   - registryPort: the registry port of all nodes.
    ///   - zones: the table for zones of peers that announce theirs by identify.
    public init(
        host: Host,
        protocolPrefix: String,
        registryPort: UInt16,
        source: (any BootstrapSource)?,
        zones: PeerZones = PeerZones(),
        kademlia: KademliaConfiguration = KademliaConfiguration(),
        bootstrap: Bootstrapper.Configuration = Bootstrapper.Configuration(),
        logger: Logger
    ) {
        self.host = host
        known = KnownProviders(registryPort: registryPort)
        self.zones = zones
        self.logger = logger
        protocolID = protocolPrefix + "/kad/1.0.0"
        recordsProtocolID = protocolPrefix + "/records/1.0.0"
        transport = HostTransport(host: host, protocolID: protocolID, recordsProtocolID: recordsProtocolID)
        node = KademliaNode(
            localPeer: host.peerID,
            localAddresses: { host.listenAddresses },
            configuration: kademlia,
            transport: transport,
            logger: logger
        )
        bootstrapper = Bootstrapper(
            source: source,
            host: host,
            node: node,
            configuration: bootstrap,
            logger: logger
        )
    }

    /// The number of peers in the routing table, and of records held for others.
    public var counts: (peers: Int, records: Int) {
        (node.routingTableSize, node.recordCount)
    }

    /// The readiness of the bootstrapper.
    public var readiness: Readiness { bootstrapper.readiness }

    /// The peers in the routing table.
    public var peers: [KnownPeer] {
        node.routingTableSnapshot.map { peer, idle in
            KnownPeer(
                id: "\(peer.info.id)",
                addresses: peer.info.addresses.map { "\($0)" },
                bucket: peer.bucket,
                idle: idle
            )
        }
    }

    /// The counters of the DHT node.
    public var statistics: KademliaStatistics { node.statistics }

    /// Looks up a key with a trace of all requests, for debugging.
    ///
    /// - Returns: `nil` if the router does not run.
    public func trace(key: String) async -> SearchSummary? {
        await node.trace(Key(key))
    }

    /// The expected registry of a peer; `nil` without a known address.
    public func provider(_ peer: PeerInfo) -> Provider? {
        known.provider(peer)
    }

    /// Runs the DHT node until the task is cancelled or the service shuts down. The host must have started.
    ///
    /// A graceful shutdown first withdraws the records of this node.
    public func run() async throws {
        host.setHandler(for: protocolID) { [node, logger] stream in
            await Self.serve(stream, node: node, logger: logger)
        }
        host.setHandler(for: recordsProtocolID) { [node, logger] stream in
            await Self.receiveRecords(from: stream, node: node, logger: logger)
        }
        defer { transport.streams.close() }
        // Subscribed before the first dial, so that no peer is missed.
        let events = host.events
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await self.follow(events) }
            group.addTask { await self.node.run() }
            // Ends only at a graceful shutdown.
            group.addTask { try await self.bootstrapper.run() }
            let result = await group.nextResult()
            if Task.isShuttingDownGracefully { await node.leave() }
            group.cancelAll()
            try result?.get()
        }
    }

    /// Looks for the providers of a key in the DHT, which limits the number of concurrent lookups.
    public func lookUp(
        _ key: String,
        limit: Int,
        onEvent: @escaping @Sendable (LookupEvent) -> Void
    ) -> @Sendable () -> Void {
        let listener = KademliaNode.ProviderListener(
            began: { onEvent(.started) },
            found: { [known] in if let provider = known.provider($0) { onEvent(.found(provider)) } },
            ended: { onEvent(.ended) }
        )
        guard let search = node.findProviders(Key(key), limit: limit, listener) else { return {} }
        return { [weak node] in node?.cancelSearch(search) }
    }

    /// The providers of a key, if the DHT needs no lookup for it.
    public func knownProviders(of key: String, limit: Int) -> [Provider]? {
        node.findProvidersHere(Key(key), limit: limit)?.compactMap(known.provider)
    }

    /// Adds the keys to the DHT.
    public func advertise(_ keys: [String]) async {
        node.provide(keys.map { Key($0) })
    }

    /// Removes the keys from the DHT.
    public func withdraw(_ keys: [String]) async {
        node.stopProviding(keys.map { Key($0) })
    }

    /// Drops the record, and excludes the peer for the key for a while.
    public func reportMissing(_ provider: Provider, of key: String) {
        guard let id = try? PeerID(provider.peerID) else { return }
        node.reportMissing(id, for: Key(key))
    }

    /// Drops the record, and excludes the peer for the key for a longer time.
    public func reportCorrupt(_ provider: Provider, of key: String) {
        guard let id = try? PeerID(provider.peerID) else { return }
        node.reportCorrupt(id, for: Key(key))
    }

    /// Moves the peer to the end of the offered ones, and checks it.
    public func reportUnreachable(_ provider: Provider) {
        guard let id = try? PeerID(provider.peerID) else { return }
        node.reportUnreachable(id)
    }

    /// Reports the peers that support the DHT protocol to the DHT node.
    private func follow(_ events: AsyncStream<HostEvent>) async {
        for peer in host.connectedPeers {
            if let info = host.identifyInfo(of: peer) { identified(peer, info) }
        }
        for await event in events {
            switch event {
            case .identified(let peer, let info):
                identified(peer, info)
            case .disconnected(let peer):
                // It may have restarted without its records. On its return it counts as a new peer.
                node.peerGone(peer)
            case .connected:
                continue
            }
        }
    }

    private func identified(_ peer: PeerID, _ info: IdentifyInfo) {
        guard info.protocols.contains(protocolID) else { return }
        zones.note(Zone(protocols: info.protocols), of: "\(peer)")
        // The address of its connection comes first: it only claims the others.
        let proven = Set(host.remoteAddresses(of: peer).compactMap(\.ipAddress))
        let isProven = { (address: Multiaddr) in address.ipAddress.map(proven.contains) ?? false }
        let addresses = info.listenAddresses.filter(isProven) + info.listenAddresses.filter { !isProven($0) }
        node.peerAppeared(PeerInfo(id: peer, addresses: addresses))
    }

    /// Handles the requests on one stream in order.
    private static func serve(_ stream: MuxedStream, node: KademliaNode, logger: Logger) async {
        do {
            while let bytes = try await stream.readMessage(
                maxLength: Message.maximumSize,
                timeout: idleStreamTimeout
            ) {
                let message = try Message(decoding: Array(bytes.readableBytesView))
                guard let reply = node.handle(message, from: stream.remotePeer) else { continue }
                try await stream.writeMessage(ByteBuffer(bytes: reply.encoded()))
            }
            stream.close()
        } catch {
            logger.debug(
                "DHT stream closed early",
                metadata: [
                    "peer": "\(stream.remotePeer)", "address": "\(stream.remoteAddress)", "reason": "\(error)",
                ]
            )
            stream.reset()
        }
    }
}

extension DHTRouter {
    /// A peer of the routing table, for the debug pages.
    public struct KnownPeer: Hashable, Sendable {
        /// The peer id as text.
        public var id: String
        /// The multiaddrs.
        public var addresses: [String]
        /// The number of leading bits of its position that it shares with this node.
        public var bucket: Int
        /// The time since it was last seen.
        public var idle: Duration
    }

    /// The deadline for a peer to send its records.
    private static let recordsTimeout = Duration.seconds(10)

    /// Receives the one message of a stream of the records protocol.
    private static func receiveRecords(from stream: MuxedStream, node: KademliaNode, logger: Logger) async {
        do {
            if let bytes = try await stream.readMessage(
                maxLength: RecordUpdate.maximumSize,
                timeout: recordsTimeout
            ) {
                // The message may have thousands of records, which must not keep the event loop.
                try await withTaskExecutorPreference(globalConcurrentExecutor) {
                    node.handle(try RecordUpdate(decoding: Array(bytes.readableBytesView)), from: stream.remotePeer)
                }
            }
            stream.close()
        } catch {
            logger.debug(
                "record update failed",
                metadata: [
                    "peer": "\(stream.remotePeer)", "address": "\(stream.remoteAddress)", "reason": "\(error)",
                ]
            )
            stream.reset()
        }
    }
}

extension Provider {
    /// Creates a provider from the addresses of a peer's router and the registry port of all nodes.
    init?(_ info: PeerInfo, registryPort: UInt16) {
        var seen: Set<IPAddress> = []
        let usable = info.addresses.compactMap(\.ipAddress).filter { !$0.isUnspecified && seen.insert($0).inserted }
        // Addresses that work only on the peer's own machine or link come last.
        let ordered = usable.filter { !$0.isLocal } + usable.filter(\.isLocal)
        let addresses = ordered.compactMap { try? SocketAddress(ipAddress: "\($0)", port: Int(registryPort)) }
        guard !addresses.isEmpty else { return nil }
        self.init(peerID: "\(info.id)", addresses: addresses)
    }
}

extension IPAddress {
    fileprivate var isLocal: Bool { isLoopback || isLinkLocal }
}
