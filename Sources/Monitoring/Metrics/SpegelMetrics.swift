/// The catalogue of a node's metrics: names, kinds, labels and meanings stand here alone. `# HELP` lines and the tables
/// of docs/monitoring.md come from it.
public enum SpegelMetrics {
    /// The families of one topic, as a table of the documentation shows them.
    public struct Group: Sendable {
        /// The topic.
        public let title: String
        /// The families, in the order of the page.
        public let families: [MetricFamily]
    }

    /// All families by topic.
    public static let groups = [
        Group(title: "Shared with Spegel v0.7", families: spegel07),
        Group(title: "Transfers", families: transfers),
        Group(title: "Peers", families: peers),
        Group(title: "libp2p", families: libp2p),
        Group(title: "The node", families: node),
        Group(title: "The process", families: ProcessMetrics.families),
    ]

    /// All families, for a ``MetricRegistry``.
    public static let families = groups.flatMap(\.families)

    private static let registry = MetricFamily.Label.open("registry")
    private static let method = MetricFamily.Label.fixed("method", ["GET", "HEAD"])
    private static let handler = MetricFamily.Label.fixed("handler", ["/v2/*", "/readyz", "/livez"])
    private static let code = MetricFamily.Label.fixed(
        "code",
        [
            "200", "206", "304", "400", "401", "403", "404", "405", "413", "414", "416", "417", "431", "503", "none",
        ]
    )
    private static let direction = MetricFamily.Label.fixed("direction", ["upload", "download"])
    private static let seconds: [Double] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
    /// From 1 KiB on, each five times as large as the one before.
    private static let sizes: [Double] = [
        1024, 5120, 25600, 128_000, 640_000, 3_200_000, 16_000_000, 80_000_000, 400_000_000, 2_000_000_000,
    ]

    /// Names, labels and buckets are those of Spegel v0.7, so that its dashboards work.
    private static let spegel07: [MetricFamily] = [
        MetricFamily(
            "spegel_mirror_requests_total",
            .counter,
            """
            Requests for content that this node does not hold: a hit when a peer served it. The source is external when \
            the client sent X-Spegel-External: true.
            """,
            labels: [registry, .fixed("cache", ["hit", "miss"]), .fixed("source", ["internal", "external"])]
        ),
        MetricFamily(
            "spegel_mirror_last_success_timestamp_seconds",
            .gauge,
            "Time of the last mirrored request, in seconds since 1970; 0 before the first."
        ),
        MetricFamily(
            "spegel_resolve_duration_seconds",
            .histogram(buckets: seconds),
            "Time until a lookup finds the first provider of a key, or ends without one.",
            labels: [.fixed("router", ["libp2p"])]
        ),
        MetricFamily("spegel_advertised_images", .gauge, "Images advertised, by tag or digest.", labels: [registry]),
        MetricFamily("spegel_advertised_image_tags", .gauge, "Tags advertised.", labels: [registry]),
        MetricFamily(
            "spegel_advertised_image_digests",
            .gauge,
            "Images advertised without a tag.",
            labels: [registry]
        ),
        MetricFamily(
            "spegel_advertised_content_digests",
            .gauge,
            "Digests of content advertised.",
            labels: [registry]
        ),
        MetricFamily("spegel_advertised_keys", .gauge, "Keys advertised: tags and digests."),
        MetricFamily(
            "http_request_duration_seconds",
            .histogram(buckets: seconds),
            """
            Time of the registry's responses, to the last byte. The code is none when the client left before there was \
            a response.
            """,
            labels: [handler, method, code]
        ),
        MetricFamily(
            "http_response_size_bytes",
            .histogram(buckets: sizes),
            "Size of the bodies of the registry's responses.",
            labels: [handler, method, code]
        ),
        MetricFamily(
            "http_requests_inflight",
            .gauge,
            "Requests that the registry is answering.",
            labels: [handler]
        ),
    ]

    private static let transfers: [MetricFamily] = [
        MetricFamily(
            "spegel_client_sent_bytes_total",
            .counter,
            "Bytes of content sent to this node's own clients.",
            labels: [registry]
        ),
        MetricFamily(
            "spegel_peer_sent_bytes_total",
            .counter,
            "Bytes of content sent to peers.",
            labels: [registry]
        ),
        MetricFamily(
            "spegel_peer_received_bytes_total",
            .counter,
            "Bytes of content received from peers.",
            labels: [registry]
        ),
        MetricFamily(
            "spegel_source_received_bytes_total",
            .counter,
            "Bytes of content that entered the store from the upstream registry after no peer had it.",
            labels: [registry]
        ),
        MetricFamily(
            "spegel_zone_received_bytes_total",
            .counter,
            "Bytes of content received from peers, by whether the peer is in this node's zone; without --zone: unknown.",
            labels: [.fixed("zone", ["same", "other", "unknown"])]
        ),
        MetricFamily(
            "spegel_registry_requests_total",
            .counter,
            "Requests for content, by how the response ended.",
            labels: [.fixed("outcome", ["local", "mirrored", "not_found", "rejected", "busy", "cut_short", "aborted"])]
        ),
        MetricFamily(
            "spegel_mirror_failed_attempts_total",
            .counter,
            "Attempts at peers that failed. After each the node asks the next peer, if there is one.",
            labels: [
                .fixed(
                    "reason",
                    [
                        "connect_failed", "connect_timeout", "closed", "malformed", "head_timeout", "stalled", "slow",
                        "wrong_length", "wrong_digest", "wrong_range", "not_found", "status", "corrupt", "unchecked",
                        "unproven",
                        "busy",
                    ]
                )
            ]
        ),
        MetricFamily(
            "spegel_verification_failures_total",
            .counter,
            "Digest mismatches in content from peers."
        ),
        MetricFamily(
            "spegel_mirror_hedged_attempts_total",
            .counter,
            "Hedged requests: a second peer asked because the first was slow."
        ),
        MetricFamily(
            "spegel_transfers_running",
            .gauge,
            "Transfers in flight: bodies sent to peers (upload), blobs fetched from peers (download).",
            labels: [direction]
        ),
        MetricFamily(
            "spegel_transfers_waiting",
            .gauge,
            "Transfers queued because the limit is reached.",
            labels: [direction]
        ),
        MetricFamily(
            "spegel_transfers_refused_total",
            .counter,
            "Transfers refused because they were queued for too long, or the queue was full.",
            labels: [direction]
        ),
        MetricFamily(
            "spegel_registry_refused_total",
            .counter,
            "Requests for content refused because of the client's address, credentials, or a node's proof.",
            labels: [.fixed("reason", ["address", "proof", "expired", "credentials"])]
        ),
        MetricFamily(
            "spegel_registry_accept_failures_total",
            .counter,
            """
            Connections that the registry could not accept for lack of descriptors or memory. It tries again after \
            100 ms.
            """
        ),
        MetricFamily("spegel_registry_connections", .gauge, "Open connections of clients."),
        MetricFamily(
            "spegel_registry_peer_connections",
            .gauge,
            "Open connections to the registries of peers, idle ones included."
        ),
    ]

    private static let peers: [MetricFamily] = [
        MetricFamily(
            "spegel_lookups_total",
            .counter,
            "Lookups of a key, by how they ended.",
            labels: [.fixed("outcome", ["found", "not_found", "timed_out", "cancelled"])]
        ),
        MetricFamily("spegel_peers_connected", .gauge, "Peers that the router is connected to."),
        MetricFamily("spegel_routing_table_peers", .gauge, "Peers in the routing table."),
        MetricFamily("spegel_provider_records", .gauge, "Provider records held for peers."),
        MetricFamily("spegel_dht_requests_total", .counter, "DHT requests sent to peers."),
        MetricFamily("spegel_dht_failed_requests_total", .counter, "DHT requests to peers that failed or timed out."),
        MetricFamily("spegel_dht_handled_messages_total", .counter, "DHT messages from peers."),
        MetricFamily(
            "spegel_provider_records_refused_total",
            .counter,
            "Provider records of peers that this node refused.",
            labels: [.fixed("reason", ["foreign", "invalid", "key_limit", "provider_limit", "total_limit"])]
        ),
        MetricFamily(
            "spegel_router_connections_opened_total",
            .counter,
            "Connections between routers whose handshakes succeeded.",
            labels: [.fixed("direction", ["inbound", "outbound"])]
        ),
        MetricFamily(
            "spegel_router_connections_refused_total",
            .counter,
            "Connections of peers refused at a limit, before any handshake."
        ),
        MetricFamily(
            "spegel_router_handshakes_failed_total",
            .counter,
            "Handshakes with peers that failed, in both directions.",
            labels: [
                .fixed(
                    "reason",
                    [
                        "timeout", "closed", "aborted", "negotiation", "tls", "noise", "identity", "unexpected_peer",
                        "membership", "self_dial", "shared_identity", "limit", "other",
                    ]
                )
            ]
        ),
        MetricFamily(
            "spegel_router_dials_total",
            .counter,
            "Dials of peers' addresses: started, failed, or held back because the address failed a short while ago.",
            labels: [.fixed("outcome", ["started", "failed", "held_back"])]
        ),
        MetricFamily(
            "spegel_router_streams_refused_total",
            .counter,
            "Streams of peers that the router reset: too many streams, or too many unread bytes.",
            labels: [.fixed("reason", ["count", "memory"])]
        ),
        MetricFamily(
            "spegel_router_peers_dropped_total",
            .counter,
            "Peers that the router disconnected because they misbehaved.",
            labels: [
                .fixed(
                    "reason",
                    [
                        "protocol_violation", "control_flood", "stream_flood", "unresponsive", "malformed_identify",
                        "broken_security",
                    ]
                )
            ]
        ),
        MetricFamily(
            "spegel_leader",
            .gauge,
            "1 on the node that leads the election of the Kubernetes bootstrap, else 0."
        ),
    ]

    private static let dir = MetricFamily.Label.fixed("dir", ["inbound", "outbound"])
    private static let ipVersion = MetricFamily.Label.fixed("ip_version", ["ip4", "ip6", "unknown"])
    private static let transport = MetricFamily.Label.fixed("transport", ["tcp"])
    private static let connection: [MetricFamily.Label] = [
        transport, .fixed("security", ["/tls/1.0.0", "/noise"]), .fixed("muxer", ["/yamux/1.0.0"]),
        .fixed("early_muxer", ["true", "false"]), ipVersion,
    ]
    /// From 1 ms on, each 1.3 times as large as the one before, as in go-libp2p.
    private static let latencies: [Double] = sequence(first: 0.001) { $0 * 1.3 }.prefix(35).map { $0 }

    /// Names, labels and buckets are those of go-libp2p, so that its dashboards work.
    private static let libp2p: [MetricFamily] = [
        MetricFamily(
            "libp2p_swarm_connections_opened_total",
            .counter,
            "Connections between routers whose handshakes succeeded, by protocols.",
            labels: [dir] + connection
        ),
        MetricFamily(
            "libp2p_swarm_dial_errors_total",
            .counter,
            "Dials of peers' addresses that failed. A dial is canceled when another address of the peer was faster.",
            labels: [
                transport, .fixed("error", ["canceled", "deadline", "timeout", "connection refused", "other"]),
                ipVersion,
            ]
        ),
        MetricFamily(
            "libp2p_swarm_handshake_latency_seconds",
            .histogram(buckets: latencies),
            "Time from a dial to the end of its handshakes, of dials that succeeded.",
            labels: connection
        ),
        MetricFamily(
            "libp2p_identify_identify_total",
            .counter,
            "Identify messages: sent because a peer asked (inbound), received because this node asked (outbound).",
            labels: [dir]
        ),
        MetricFamily(
            "libp2p_rcmgr_connections",
            .gauge,
            "Open connections between routers: all (system), and those in their handshakes (transient).",
            labels: [dir, .fixed("scope", ["system", "transient"])]
        ),
    ]

    private static let node: [MetricFamily] = [
        MetricFamily("spegel_held_contents", .gauge, "Pieces of content held."),
        MetricFamily("spegel_held_tags", .gauge, "Tags held."),
        MetricFamily(
            "spegel_store_connected",
            .gauge,
            "1 while the node can follow the content store (containerd or an image layout), else 0."
        ),
        MetricFamily("spegel_store_outages_total", .counter, "Times that the node lost the content store."),
        MetricFamily(
            "spegel_store_checks_total",
            .counter,
            "Pieces of content of the store that the node checked against their digests, by result.",
            labels: [.fixed("outcome", ["sound", "corrupt", "unreadable"])]
        ),
        MetricFamily(
            "spegel_store_faulty_contents",
            .gauge,
            "Pieces of content withheld because of a digest mismatch in the store. The log names each at level error."
        ),
        MetricFamily(
            "spegel_store_unchecked_bytes",
            .gauge,
            "Bytes of the store from before the start that the node is still to hash while it is idle (--idle-checks)."
        ),
        MetricFamily("spegel_ready", .gauge, "1 while /readyz answers 200, else 0."),
        MetricFamily(
            "spegel_build_info",
            .gauge,
            "Always 1; the label names the version of the program.",
            labels: [.open("version")]
        ),
    ]
}
