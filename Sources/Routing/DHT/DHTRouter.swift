import Kademlia
import LibP2P
import Listening
import Logging
import Multiformats
import NIOCore
import ServiceLifecycle

/// Finds the holders of keys in the Kademlia DHT of the cluster.
public final class DHTRouter: Router, Service {
    /// How long a peer may leave a stream of the DHT idle before it is closed.
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

    /// Makes a router over a host that is not started yet.
    ///
    /// - Parameters:
    ///   - protocolPrefix: what stands before `/kad/1.0.0` and `/records/1.0.0` in the names of the protocols.
    ///   - registryPort: the port of this node's registry, and so of every other's.
    ///   - zones: where the zones of peers are noted that tell them by identify.
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
            taskExecutor: EventLoopTaskExecutor(host.group.next()),
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

    /// How many peers are in the routing table, and how many records are held for others.
    public var counts: (peers: Int, records: Int) {
        (node.routingTableSize, node.recordCount)
    }

    /// As the bootstrapper sees it.
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

    /// What the node of the DHT has done since the start.
    public var statistics: KademliaStatistics { node.statistics }

    /// The keys that this node provides, and the records of them that wait to be sent.
    public var ownCounts: (keys: Int, pendingRecords: Int) {
        (node.providedKeyCount, node.pendingRecordCount)
    }

    /// Looks a key up and tells who was asked; for people.
    ///
    /// - Returns: `nil` if the router does not run.
    public func trace(key: String) async -> SearchSummary? {
        await node.trace(Key(key))
    }

    /// Where the registry of a peer is expected; `nil` when no address of it is known.
    public func provider(_ peer: PeerInfo) -> Provider? {
        known.provider(peer)
    }

    /// Runs the node of the DHT until the task is cancelled or the service shuts down. The host must have started.
    ///
    /// At a graceful shutdown the records of this node are taken back first.
    public func run() async throws {
        host.setHandler(for: protocolID) { [node, logger] stream in
            await Self.serve(stream, node: node, logger: logger)
        }
        host.setHandler(for: recordsProtocolID) { [node, logger] stream in
            await Self.takeRecords(from: stream, node: node, logger: logger)
        }
        defer { transport.streams.close() }
        // Listened to before anybody is dialled, so that no peer is missed.
        let events = host.events
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await self.follow(events) }
            group.addTask { await self.node.run() }
            // Ends at a graceful shutdown, and by nothing else.
            group.addTask { try await self.bootstrapper.run() }
            let result = await group.nextResult()
            if Task.isShuttingDownGracefully { await node.leave() }
            group.cancelAll()
            try result?.get()
        }
    }

    /// The holders of a key, as the DHT finds them.
    public func providers(of key: String, limit: Int) -> AsyncStream<Provider> {
        providers(of: key, limit: limit) {}
    }

    /// The holders of a key that the DHT finds; it looks for no more than so many keys at a time.
    public func providers(
        of key: String,
        limit: Int,
        began: @escaping @Sendable () -> Void
    ) -> AsyncStream<Provider> {
        node.findProviders(Key(key), limit: limit, began: began) { [known] in known.provider($0) }
    }

    /// The holders of a key, where the DHT need not ask for them.
    public func knownProviders(of key: String, limit: Int) -> [Provider]? {
        node.findProvidersHere(Key(key), limit: limit)?.compactMap(known.provider)
    }

    /// Has the DHT provide the keys.
    public func advertise(_ keys: [String]) async {
        node.provide(keys.map { Key($0) })
    }

    /// Has the DHT provide the keys no longer.
    public func withdraw(_ keys: [String]) async {
        node.stopProviding(keys.map { Key($0) })
    }

    /// Has the DHT drop the record, and not offer the peer for the key for a while.
    public func reportMissing(_ provider: Provider, of key: String) {
        guard let id = try? PeerID(provider.peerID) else { return }
        node.reportMissing(id, for: Key(key))
    }

    /// Has the DHT drop the record, and not offer the peer for the key for a good while.
    public func reportCorrupt(_ provider: Provider, of key: String) {
        guard let id = try? PeerID(provider.peerID) else { return }
        node.reportCorrupt(id, for: Key(key))
    }

    /// Has the DHT offer the peer last, and check it.
    public func reportUnreachable(_ provider: Provider) {
        guard let id = try? PeerID(provider.peerID) else { return }
        node.reportUnreachable(id)
    }

    /// Tells the DHT of the peers that speak its protocol.
    private func follow(_ events: AsyncStream<HostEvent>) async {
        for peer in host.connectedPeers {
            if let info = host.identifyInfo(of: peer) { identified(peer, info) }
        }
        for await event in events {
            switch event {
            case .identified(let peer, let info):
                identified(peer, info)
            case .disconnected(let peer):
                // It may have restarted without its records; when it comes back it is a new peer.
                node.peerGone(peer)
            case .connected:
                continue
            }
        }
    }

    private func identified(_ peer: PeerID, _ info: IdentifyInfo) {
        guard info.protocols.contains(protocolID) else { return }
        zones.note(Zone(protocols: info.protocols), of: "\(peer)")
        // The address that it was met at comes first: others it may only claim.
        let proven = Set(host.remoteAddresses(of: peer).compactMap(\.ipAddress))
        let isProven = { (address: Multiaddr) in address.ipAddress.map(proven.contains) ?? false }
        let addresses = info.listenAddresses.filter(isProven) + info.listenAddresses.filter { !isProven($0) }
        node.peerAppeared(PeerInfo(id: peer, addresses: addresses))
    }

    /// Answers the requests on one stream, one after another.
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
                "a stream of the DHT ended early",
                metadata: ["peer": "\(stream.remotePeer)", "reason": "\(error)"]
            )
            stream.reset()
        }
    }
}

extension DHTRouter {
    /// A peer of the routing table, for people.
    public struct KnownPeer: Hashable, Sendable {
        /// Its id, in text.
        public var id: String
        /// Where it is reached, as multiaddrs.
        public var addresses: [String]
        /// The leading bits of the key space that it shares with this node.
        public var bucket: Int
        /// How long ago it was heard of.
        public var idle: Duration
    }

    /// How long a peer may take to send its records.
    private static let recordsTimeout = Duration.seconds(10)

    /// Takes the one message of a stream of the records protocol.
    private static func takeRecords(from stream: MuxedStream, node: KademliaNode, logger: Logger) async {
        do {
            if let bytes = try await stream.readMessage(
                maxLength: RecordUpdate.maximumSize,
                timeout: recordsTimeout
            ) {
                node.handle(try RecordUpdate(decoding: Array(bytes.readableBytesView)), from: stream.remotePeer)
            }
            stream.close()
        } catch {
            logger.debug(
                "records could not be taken",
                metadata: ["peer": "\(stream.remotePeer)", "reason": "\(error)"]
            )
            stream.reset()
        }
    }
}

extension Provider {
    /// Where the registry of a peer is: at the addresses of its router, at the port that all registries have.
    init?(_ info: PeerInfo, registryPort: UInt16) {
        var seen: Set<IPAddress> = []
        let usable = info.addresses.compactMap(\.ipAddress).filter { !$0.isUnspecified && seen.insert($0).inserted }
        // What only works on the peer's own machine or link comes last.
        let ordered = usable.filter { !$0.isLocal } + usable.filter(\.isLocal)
        let addresses = ordered.compactMap { try? SocketAddress(ipAddress: "\($0)", port: Int(registryPort)) }
        guard !addresses.isEmpty else { return nil }
        self.init(peerID: "\(info.id)", addresses: addresses)
    }
}

extension IPAddress {
    fileprivate var isLocal: Bool { isLoopback || isLinkLocal }
}
