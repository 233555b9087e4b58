import Kademlia
import LibP2P
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
    private let bootstrapper: Bootstrapper
    private let protocolID: String
    private let registryPort: UInt16
    private let logger: Logger

    /// Makes a router over a host that is not started yet.
    ///
    /// - Parameters:
    ///   - protocolPrefix: what stands before `/kad/1.0.0` in the name of the protocol.
    ///   - registryPort: the port of this node's registry, and so of every other's.
    public init(
        host: Host,
        protocolPrefix: String,
        registryPort: UInt16,
        source: (any BootstrapSource)?,
        kademlia: KademliaConfiguration = KademliaConfiguration(),
        bootstrap: Bootstrapper.Configuration = Bootstrapper.Configuration(),
        logger: Logger
    ) {
        self.host = host
        self.registryPort = registryPort
        self.logger = logger
        protocolID = protocolPrefix + "/kad/1.0.0"
        node = KademliaNode(
            localPeer: host.peerID,
            localAddresses: { host.listenAddresses },
            configuration: kademlia,
            transport: HostTransport(host: host, protocolID: protocolID),
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

    /// The peers in the routing table and where they are.
    public var routingTablePeers: [PeerInfo] { node.routingTablePeers }

    /// What the node of the DHT has done so far.
    public var statistics: KademliaStatistics { node.statistics }

    /// How many peers are in the routing table, and how many records are held for others.
    public var counts: (peers: Int, records: Int) {
        (node.routingTableSize, node.recordCount)
    }

    /// As the bootstrapper sees it.
    public var readiness: Readiness { bootstrapper.readiness }

    /// Runs the node of the DHT until the task is cancelled or the service shuts down. The host must have started.
    public func run() async throws {
        host.setHandler(for: protocolID) { [node, logger] stream in
            await Self.serve(stream, node: node, logger: logger)
        }
        // Listened to before anybody is dialled, so that no peer is missed.
        let events = host.events
        try await cancelWhenGracefulShutdown {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await self.follow(events) }
                group.addTask { await self.node.run() }
                group.addTask { try await self.bootstrapper.run() }
                try await group.next()
                group.cancelAll()
            }
        }
    }

    /// The holders of a key, as the DHT finds them.
    public func providers(of key: String, limit: Int) -> AsyncStream<Provider> {
        let found = node.findProviders(Key(key), limit: limit)
        let (stream, continuation) = AsyncStream<Provider>.makeStream(bufferingPolicy: .bufferingOldest(limit))
        let task = Task { [registryPort] in
            for await info in found {
                if let provider = Provider(info, registryPort: registryPort) { continuation.yield(provider) }
            }
            continuation.finish()
        }
        continuation.onTermination = { _ in task.cancel() }
        return stream
    }

    /// Has the DHT provide the keys.
    public func advertise(_ keys: [String]) async {
        node.provide(keys.map { Key($0) })
    }

    /// Has the DHT provide the keys no longer.
    public func withdraw(_ keys: [String]) async {
        node.stopProviding(keys.map { Key($0) })
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
        node.peerAppeared(PeerInfo(id: peer, addresses: info.listenAddresses))
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
