import ContentStore
import DebugPage
import Kademlia
import Kubernetes
import LibP2P
import Monitoring
import Multiformats
import NIOCore
import OCI
import Registry
import Routing

/// The state of the node as the page shows it.
extension NodeReport {
    private static let peerLimit = 500
    private static let imageLimit = 500
    private static let transferLimit = 100

    /// Everything at this moment. It is put together from what the parts know anyway.
    func status() async -> NodeStatus {
        let now = RegistryServer.wallClock
        var status = NodeStatus(time: now, node: nodeStatus, store: storeStatus, network: networkStatus)
        addImages(to: &status)
        let live = await registry.liveTransfers(limit: Self.transferLimit)
        status.transferCount = live.count
        status.transfers = live.transfers.map(NodeStatus.Transfer.init)
        status.totals = totals
        let history = registry.history
        status.minutes = history.minutes(now: Int(now)).map(NodeStatus.Period.init)
        status.quarters = history.quarters(now: Int(now)).map(NodeStatus.Period.init)
        status.failures = registry.failures.map(NodeStatus.Failure.init)
        return status
    }

    private var nodeStatus: NodeStatus.Node {
        let (isReady, state) =
            switch readiness() {
            case .ready(let text): (true, text)
            case .notReady(let text): (false, text)
            }
        return NodeStatus.Node(
            peerID: "\(peerID)",
            version: Version.text,
            uptime: ContinuousClock.now - started,
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
        let state: NodeStatus.Store.State =
            switch tracked.store {
            case .starting: .starting
            case .followed: .followed
            case .away(let reason, let since): .away(reason: reason, since: ContinuousClock.now - since)
            }
        return NodeStatus.Store(
            name: storeName,
            state: state,
            outages: tracked.outages,
            contents: held.contents,
            tags: held.tags,
            advertisedKeys: tracked.keys,
            withheldContents: tracked.withheldContents,
            imagesWithoutLayers: tracked.imagesWithoutLayers
        )
    }

    private var networkStatus: NodeStatus.Network {
        let connected = host.connectedPeers
        let table = Dictionary(router.peers.map { ($0.id, $0) }) { first, _ in first }
        let times = roundTrips.current(of: connected)
        var peers = connected.map { peer in
            let identity = host.identifyInfo(of: peer)
            let known = table["\(peer)"]
            let met = host.remoteAddresses(of: peer)
            let addresses = (known?.addresses ?? []).compactMap { try? Multiaddr($0) }
            let all = addresses.isEmpty ? identity?.listenAddresses ?? met : addresses
            return peerStatus(peer, all, identity?.agentVersion, isConnected: true, known != nil, times[peer])
        }
        let isConnected = Set(peers.map(\.peerID))
        for known in table.values where !isConnected.contains(known.id) {
            guard let peer = try? PeerID(known.id) else { continue }
            let addresses = known.addresses.compactMap { try? Multiaddr($0) }
            peers.append(peerStatus(peer, addresses, nil, isConnected: false, true, nil))
        }
        peers.sort { one, other in
            one.isConnected == other.isConnected ? one.peerID < other.peerID : one.isConnected
        }
        let counts = router.counts
        return NodeStatus.Network(
            connected: connected.count,
            routingTable: counts.peers,
            providerRecords: counts.records,
            peers: Array(peers.prefix(Self.peerLimit))
        )
    }

    private func peerStatus(
        _ peer: PeerID,
        _ addresses: [Multiaddr],
        _ agent: String?,
        isConnected: Bool,
        _ isInTable: Bool,
        _ time: Duration?
    ) -> NodeStatus.Peer {
        let measured = time ?? host.connections(with: peer).compactMap(\.roundTripTime).min()
        let provider = router.provider(PeerInfo(id: peer, addresses: addresses))
        return NodeStatus.Peer(
            peerID: "\(peer)",
            zone: zones.zone(of: "\(peer)")?.text,
            agent: agent,
            isConnected: isConnected,
            isInRoutingTable: isInTable,
            roundTripTime: measured,
            addresses: addresses.map { "\($0)" },
            registries: (provider?.addresses ?? []).map(\.authority)
        )
    }

    private func addImages(to status: inout NodeStatus) {
        let tags = index.tags
        let shared = tracker.imageNames
        let names = shared.union(tags.keys).sorted()
        status.imageCount = names.count
        status.images = names.prefix(Self.imageLimit).map { name in
            let target = tags[name]
            let digest = target?.digest ?? (try? Reference(name))?.digest
            return NodeStatus.Image(
                name: name,
                digest: digest?.text,
                mediaType: target?.mediaType.text,
                isAdvertised: shared.contains(name)
            )
        }
    }

    private var totals: NodeStatus.Totals {
        let metrics = registry.metrics
        var totals = NodeStatus.Totals()
        let all = registry.history.total
        totals.hits = all.hits
        totals.misses = all.misses
        totals.sourceBytes = Int(clamping: all.sourceBytes)
        totals.sentBytes = Int(clamping: all.sentBytes)
        totals.local = metrics.outcomes[.local] ?? 0
        totals.cutShort = metrics.outcomes[.cutShort] ?? 0
        totals.aborted = metrics.outcomes[.aborted] ?? 0
        // With what is under way.
        totals.receivedBytes = metrics.relayedBytes
        totals.localBytes = metrics.localBytes
        totals.failedAttempts = metrics.failedAttempts
        totals.hedges = metrics.hedges
        totals.corruptAnswers = metrics.corruptAnswers
        return totals
    }
}

// MARK: -

extension NodeStatus.Transfer {
    fileprivate init(_ transfer: LiveTransfer) {
        self.init(
            id: transfer.id,
            kind: transfer.content.kind == .manifest ? "manifest" : "blob",
            key: transfer.key,
            registry: transfer.content.registry?.text,
            repository: transfer.content.repository.text,
            direction: Direction(transfer.direction),
            source: transfer.source,
            client: transfer.client,
            bytes: transfer.bytes,
            size: transfer.size,
            duration: transfer.duration
        )
    }
}

extension NodeStatus.Transfer.Direction {
    fileprivate init(_ direction: LiveTransfer.Direction) {
        switch direction {
        case .received: self = .received
        case .served: self = .served
        case .sent: self = .sent
        }
    }
}

extension NodeStatus.Period {
    fileprivate init(_ period: TransferHistory.Period) {
        self.init(
            start: period.start,
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
