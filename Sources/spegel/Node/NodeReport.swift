import ContentStore
import HTTPServer
import Kademlia
import Kubernetes
import LibP2P
import Monitoring
import Multiformats
import NIOCore
import OCI
import Registry
import Routing

/// The report of a node: its metrics, its health, and its state for debugging.
struct NodeReport: Sendable {
    let peerID: PeerID
    let storeName: String
    let store: any ContentStore
    /// The checks of the idle node, if they are on.
    let idleChecks: IdleChecks?
    let host: Host
    let router: DHTRouter
    let tracker: StateTracker
    let index: ContentIndex
    let registry: RegistryServer
    /// The credentials that the registry requires, if any.
    let authentication: BasicAuthentication?
    let labels: RegistryLabels
    /// The election that the node takes part in, if any.
    let elector: LeaderElector?
    let liveness: LivenessMonitor
    let readiness: @Sendable () -> Readiness
    /// The registry's address, as configured.
    let registryAddress: String
    /// The zone of the node, and those of peers.
    let zone: Zone?
    let zones: PeerZones
    let group: any EventLoopGroup
    let roundTrips: RoundTrips
    let started = ContinuousClock.now

    /// The health checks among ``routes(metrics:pages:debug:)``.
    static let healthPaths: Set<String> = ["/livez", "/readyz"]

    /// The routes of the metrics address.
    ///
    /// - Parameters:
    ///   - pages: the pages for people.
    ///   - debug: whether to include `/debug/`.
    func routes(metrics: MetricRegistry, pages: DebugPages, debug: Bool) -> [String: HTTPServer.Handler] {
        let health: [String: HTTPServer.Handler] = [
            "/metrics": { _ in .metrics(metrics.text) },
            "/readyz": { _ in
                switch readiness() {
                case .ready(let text): .text(text)
                case .notReady(let text): .text(text, status: 503)
                }
            },
            "/livez": { _ in
                let stalls = liveness.stalls
                return stalls.isEmpty
                    ? .text("alive") : .text(stalls.map(\.description).joined(separator: ", "), status: 503)
            },
        ]
        guard debug else {
            return health.merging(["/": { _ in .text("/metrics\n/readyz\n/livez") }]) { first, _ in first }
        }
        return health.merging(pages.routes) { first, _ in first }
    }
}

// MARK: - Metrics

extension NodeReport {
    /// Adds the numbers that the parts count themselves.
    func collect(into metrics: inout CollectedMetrics) {
        ProcessMetrics.collect(into: &metrics)
        let snapshot = registry.metrics
        for (direction, transfers) in [("upload", snapshot.uploads), ("download", snapshot.downloads)] {
            metrics.set("spegel_transfers_running", [("direction", direction)], to: transfers.running)
            metrics.set("spegel_transfers_waiting", [("direction", direction)], to: transfers.waiting)
            metrics.set("spegel_transfers_refused_total", [("direction", direction)], to: transfers.refused)
        }
        let checks = store.checks?.counts
        metrics.set("spegel_store_checks_total", [("outcome", "sound")], to: checks?.sound ?? 0)
        metrics.set("spegel_store_checks_total", [("outcome", "corrupt")], to: checks?.corrupt ?? 0)
        metrics.set("spegel_store_checks_total", [("outcome", "unreadable")], to: checks?.unreadable ?? 0)
        metrics.set("spegel_store_faulty_contents", to: store.checks?.faultCount ?? 0)

        metrics.set("spegel_store_unchecked_bytes", to: Double(idleChecks?.remainingBytes ?? 0))

        let counts = router.counts
        let statistics = router.statistics
        metrics.set("spegel_peers_connected", to: host.connectedPeers.count)
        metrics.set("spegel_routing_table_peers", to: counts.peers)
        metrics.set("spegel_provider_records", to: counts.records)
        metrics.set("spegel_dht_requests_total", to: statistics.requests)
        metrics.set("spegel_dht_failed_requests_total", to: statistics.failedRequests)
        metrics.set("spegel_dht_handled_messages_total", to: statistics.handledMessages)

        collectRouter(into: &metrics)
        if let status = elector?.status { metrics.set("spegel_leader", to: status.isLeader ? 1 : 0) }

        let held = index.counts
        metrics.set("spegel_held_contents", to: held.contents)
        metrics.set("spegel_held_tags", to: held.tags)
        if case .ready = readiness() { metrics.set("spegel_ready", to: 1) } else { metrics.set("spegel_ready", to: 0) }
        metrics.set("spegel_build_info", [("version", Version.text)], to: 1)
        collectAdvertised(into: &metrics)
    }

    private func collectRouter(into metrics: inout CollectedMetrics) {
        let offers = router.statistics.offers
        let refused = "spegel_provider_records_refused_total"
        metrics.set(refused, [("reason", "foreign")], to: offers.refusedAsForeign)
        metrics.set(refused, [("reason", "invalid")], to: offers.refusedAsInvalid)
        metrics.set(refused, [("reason", "key_limit")], to: offers.refusedByKeyLimit)
        metrics.set(refused, [("reason", "provider_limit")], to: offers.refusedByProviderLimit)
        metrics.set(refused, [("reason", "total_limit")], to: offers.refusedByTotalLimit)

        let statistics = host.statistics
        collectLibP2P(statistics, into: &metrics)
        let opened = "spegel_router_connections_opened_total"
        metrics.set(opened, [("direction", "inbound")], to: statistics.inboundConnectionsOpened)
        metrics.set(opened, [("direction", "outbound")], to: statistics.outboundConnectionsOpened)
        metrics.set("spegel_router_connections_refused_total", to: statistics.connectionsRefused)
        for reason in HandshakeFailure.allCases {
            metrics.set(
                "spegel_router_handshakes_failed_total",
                [("reason", Self.label(reason.rawValue))],
                to: statistics.handshakesFailed[reason] ?? 0
            )
        }
        metrics.set("spegel_router_dials_total", [("outcome", "started")], to: statistics.dialsStarted)
        metrics.set("spegel_router_dials_total", [("outcome", "failed")], to: statistics.dialsFailed)
        metrics.set("spegel_router_dials_total", [("outcome", "held_back")], to: statistics.dialsHeldBack)
        let streams = "spegel_router_streams_refused_total"
        metrics.set(streams, [("reason", "count")], to: statistics.streamsRefused)
        metrics.set(streams, [("reason", "memory")], to: statistics.streamsOverMemory)
        for reason in DropReason.allCases {
            metrics.set(
                "spegel_router_peers_dropped_total",
                [("reason", Self.label(reason.rawValue))],
                to: statistics.peersDropped[reason] ?? 0
            )
        }
    }

    private func collectLibP2P(_ statistics: HostStatistics, into metrics: inout CollectedMetrics) {
        for (kind, count) in statistics.connectionsOpened {
            let labels = [("dir", kind.isInbound ? "inbound" : "outbound")] + kind.labels
            metrics.set("libp2p_swarm_connections_opened_total", labels, to: count)
        }
        for (error, count) in statistics.dialErrors {
            let labels = [
                ("transport", "tcp"), ("error", error.reason.rawValue), ("ip_version", error.ipVersion.rawValue),
            ]
            metrics.set("libp2p_swarm_dial_errors_total", labels, to: count)
        }
        metrics.set("libp2p_identify_identify_total", [("dir", "inbound")], to: statistics.identifySent)
        metrics.set("libp2p_identify_identify_total", [("dir", "outbound")], to: statistics.identifyReceived)
        let pending = host.pendingConnections
        let inbound = statistics.inboundConnectionsOpened - statistics.inboundConnectionsClosed
        let outbound = statistics.outboundConnectionsOpened - statistics.outboundConnectionsClosed
        for (direction, established, pending) in [
            ("inbound", inbound, pending.inbound), ("outbound", outbound, pending.outbound),
        ] {
            let name = "libp2p_rcmgr_connections"
            metrics.set(name, [("dir", direction), ("scope", "transient")], to: pending)
            metrics.set(name, [("dir", direction), ("scope", "system")], to: max(0, established) + pending)
        }
    }

    /// A name of a case as the value of a label: `streamFlood` is `stream_flood`.
    static func label(_ name: String) -> String {
        name.reduce(into: "") { label, character in
            label += character.isUppercase ? "_" + character.lowercased() : String(character)
        }
    }

    private func collectAdvertised(into metrics: inout CollectedMetrics) {
        let snapshot = tracker.snapshot
        metrics.set("spegel_store_connected", to: snapshot.store == .followed ? 1 : 0)
        metrics.set("spegel_store_outages_total", to: snapshot.outages)
        metrics.set("spegel_advertised_keys", to: snapshot.keys)
        for (name, advertised) in snapshot.registries {
            let registry = [("registry", labels.label(name))]
            metrics.set("spegel_advertised_images", registry, to: advertised.images)
            metrics.set("spegel_advertised_image_tags", registry, to: advertised.tags)
            metrics.set("spegel_advertised_image_digests", registry, to: advertised.digests)
            metrics.set("spegel_advertised_content_digests", registry, to: advertised.contents)
        }
    }
}

extension ConnectionKind {
    /// The labels of libp2p's metrics, without the direction.
    var labels: [(String, String)] {
        [
            ("transport", "tcp"), ("security", security), ("muxer", muxer),
            ("early_muxer", hasEarlyMuxer ? "true" : "false"), ("ip_version", ipVersion.rawValue),
        ]
    }
}
