import ContentStore
import DebugAPI
import Kademlia
import Kubernetes
import LibP2P
import Monitoring
import Multiformats
import NIOCore
import OCI
import Registry
import Routing
import Time

/// The document of `/debug/api/status`, which the page shows too.
extension NodeReport {
    private static let peerLimit = 500
    private static let imageLimit = 500
    private static let transferLimit = 100

    /// Collects the status at this moment. Nothing is recorded for it beforehand.
    func status() async -> NodeStatus {
        let now = RegistryServer.wallClock
        var status = NodeStatus(time: now, node: nodeStatus, store: storeStatus)
        status.router = routerStatus
        status.peers = peersStatus
        status.images = imagesStatus
        await addTraffic(to: &status)
        return status
    }

    private var nodeStatus: NodeStatus.Node {
        let (isReady, state) = readiness().parts
        return NodeStatus.Node(
            peerID: "\(peerID)",
            version: Version.text,
            uptimeSeconds: Int((ContinuousClock.now - started).components.seconds),
            addresses: host.listenAddresses.map { "\($0)" },
            registry: registryAddress,
            zone: zone?.text,
            isReady: isReady,
            state: state,
            stalls: liveness.stalls.map { "\($0)" },
            leader: elector.map { elector in
                let status = elector.status
                return NodeStatus.Leader(
                    leads: status.isLeader,
                    holder: status.holder,
                    transitions: status.transitions,
                    error: status.error
                )
            }
        )
    }

    private var storeStatus: NodeStatus.Store {
        let tracked = tracker.snapshot
        let held = index.counts
        var status = NodeStatus.Store(name: storeName, state: .starting)
        switch tracked.store {
        case .starting: break
        case .followed: status.state = .followed
        case .away(let reason, let since):
            status.state = .away
            status.reason = reason
            status.awaySeconds = Int((MonotonicTime.now - since).components.seconds)
        }
        status.outages = tracked.outages
        status.contents = held.contents
        status.tags = held.tags
        status.advertisedKeys = tracked.keys
        status.withheldContents = tracked.withheldContents
        status.imagesWithoutLayers = tracked.imagesWithoutLayers
        return status
    }

    private var imagesStatus: NodeStatus.Listing<NodeStatus.Image> {
        let tags = index.tags
        let advertised = tracker.imageNames
        let names = advertised.union(tags.keys).sorted()
        var images = NodeStatus.Listing<NodeStatus.Image>()
        images.count = names.count
        images.list = names.prefix(Self.imageLimit).map { name in
            let target = tags[name]
            let digest = target?.digest ?? (try? Reference(name))?.digest
            return NodeStatus.Image(
                name: name,
                digest: digest?.text,
                mediaType: target?.mediaType.text,
                isAdvertised: advertised.contains(name)
            )
        }
        return images
    }
}

// MARK: - The network

extension NodeReport {
    private var routerStatus: NodeStatus.Router {
        let statistics = router.statistics
        var status = NodeStatus.Router()
        (status.isReady, status.state) = router.readiness.parts
        status.requests = statistics.requests
        status.failedRequests = statistics.failedRequests
        status.handledMessages = statistics.handledMessages
        return status
    }

    private var peersStatus: NodeStatus.Peers {
        let connected = host.connectedPeers
        let table = Dictionary(router.peers.map { ($0.id, $0) }) { first, _ in first }
        let times = roundTrips.current(of: connected)
        var list = connected.map { peerStatus($0, table["\($0)"], measured: times[$0], isConnected: true) }
        let ids = Set(list.map(\.peerID))
        for known in table.values where !ids.contains(known.id) {
            guard let peer = try? PeerID(known.id) else { continue }
            list.append(peerStatus(peer, known, measured: nil, isConnected: false))
        }
        list.sort { one, other in
            one.isConnected == other.isConnected ? one.peerID < other.peerID : one.isConnected
        }
        let counts = router.counts
        var peers = NodeStatus.Peers()
        peers.connected = connected.count
        peers.routingTable = counts.peers
        peers.providerRecords = counts.records
        peers.list = Array(list.prefix(Self.peerLimit))
        return peers
    }

    /// - Parameters:
    ///   - known: the peer's entry in the routing table.
    ///   - measured: the round-trip time of a measurement for the page.
    private func peerStatus(
        _ peer: PeerID,
        _ known: DHTRouter.KnownPeer?,
        measured: Duration?,
        isConnected: Bool
    ) -> NodeStatus.Peer {
        let identity = isConnected ? host.identifyInfo(of: peer) : nil
        let connections = isConnected ? host.connections(with: peer) : []
        var addresses = (known?.addresses ?? []).compactMap { try? Multiaddr($0) }
        if addresses.isEmpty, isConnected { addresses = identity?.listenAddresses ?? host.remoteAddresses(of: peer) }
        let provider = router.provider(PeerInfo(id: peer, addresses: addresses))
        var status = NodeStatus.Peer(
            peerID: "\(peer)",
            isConnected: isConnected,
            isInRoutingTable: known != nil,
            addresses: addresses.map { "\($0)" },
            registries: (provider?.addresses ?? []).map(\.authority)
        )
        status.zone = zones.zone(of: "\(peer)")?.text
        status.agent = identity?.agentVersion
        status.connections = connections.map(NodeStatus.Connection.init)
        status.bucket = known?.bucket
        status.idle = known?.idle
        status.roundTripTime = measured ?? connections.compactMap(\.roundTripTime).min()
        return status
    }
}

extension NodeStatus.Connection {
    fileprivate init(_ connection: ConnectionInfo) {
        self.init(
            address: "\(connection.remoteAddress)",
            isInbound: connection.isInbound,
            security: connection.security,
            muxer: connection.muxer,
            ageSeconds: Int(connection.age.components.seconds)
        )
    }
}

extension Readiness {
    fileprivate var parts: (isReady: Bool, state: String) {
        switch self {
        case .ready(let text): (true, text)
        case .notReady(let text): (false, text)
        }
    }
}

// MARK: - The traffic of the registry

extension NodeReport {
    private func addTraffic(to status: inout NodeStatus) async {
        let live = await registry.liveTransfers(limit: Self.transferLimit)
        status.transfers.count = live.count
        status.transfers.list = live.transfers.map(NodeStatus.Transfer.init)
        let history = registry.history
        status.history.minutes = history.minutes(now: Int(status.time)).map(NodeStatus.Period.init)
        status.history.quarters = history.quarters(now: Int(status.time)).map(NodeStatus.Period.init)
        status.failures = registry.failures.map(NodeStatus.Failure.init)

        let metrics = registry.metrics
        status.registry.connections = metrics.openConnections
        status.registry.peerConnections = metrics.peerConnections
        status.registry.requestsInFlight = metrics.requestsInFlight
        status.registry.mirrorsInFlight = metrics.mirrorsInFlight
        status.totals = NodeStatus.Totals(metrics, history.total)
    }
}

extension NodeStatus.Totals {
    fileprivate init(_ metrics: MetricsSnapshot, _ history: TransferHistory.Period) {
        self.init()
        hits = history.hits
        misses = history.misses
        local = metrics.outcomes[.local] ?? 0
        cutShort = metrics.outcomes[.cutShort] ?? 0
        aborted = metrics.outcomes[.aborted] ?? 0
        sourceBytes = history.sourceBytes
        sentBytes = history.sentBytes
        // The transfers in flight included.
        receivedBytes = Int64(metrics.relayedBytes)
        localBytes = Int64(metrics.localBytes)
        failedAttempts = metrics.failedAttempts
        hedges = metrics.hedges
        corruptAnswers = metrics.corruptAnswers
    }
}

extension NodeStatus.Transfer {
    fileprivate init(_ transfer: LiveTransfer) {
        self.init(
            id: transfer.id,
            kind: transfer.content.kind == .manifest ? "manifest" : "blob",
            key: transfer.key,
            registry: transfer.content.registry?.text,
            repository: transfer.content.repository.text,
            direction: Direction(rawValue: transfer.direction.rawValue),
            source: transfer.source,
            client: transfer.client,
            bytes: transfer.bytes,
            size: transfer.size,
            duration: transfer.duration
        )
    }
}

extension NodeStatus.Period {
    fileprivate init(_ period: TransferHistory.Period) {
        self.init(
            time: period.start,
            hits: period.hits,
            misses: period.misses,
            receivedBytes: period.receivedBytes,
            sourceBytes: period.sourceBytes,
            sentBytes: period.sentBytes
        )
    }
}

extension NodeStatus.Failure {
    fileprivate init(_ entry: FailureLog.Entry) {
        self.init(
            time: entry.time,
            key: entry.key,
            registry: entry.registry,
            repository: entry.repository,
            peerID: entry.peerID,
            address: entry.address,
            reason: entry.reason,
            text: entry.text
        )
    }
}
