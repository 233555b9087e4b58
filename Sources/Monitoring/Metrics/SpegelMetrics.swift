/// All metrics of a node. docs/monitoring.md says the same for people.
///
/// Names, labels and buckets of the first group are those of Spegel v0.7, so that its dashboards work.
public enum SpegelMetrics {
    /// The families, for a ``MetricRegistry``.
    public static let families = spegel07 + transfers + network + state + ProcessMetrics.families

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

    private static let spegel07: [MetricFamily] = [
        MetricFamily(
            "spegel_mirror_requests_total",
            .counter,
            "Requests that this node did not hold the content of, by whether another node had it.",
            labels: [registry, .fixed("cache", ["hit", "miss"]), .fixed("source", ["internal", "external"])]
        ),
        MetricFamily(
            "spegel_mirror_last_success_timestamp_seconds",
            .gauge,
            "When a request was mirrored last, in seconds since 1970; 0 before the first."
        ),
        MetricFamily(
            "spegel_resolve_duration_seconds",
            .histogram(buckets: seconds),
            "How long it took to find the first node that has a key, or to find none.",
            labels: [.fixed("router", ["libp2p"])]
        ),
        MetricFamily(
            "spegel_advertised_images",
            .gauge,
            "Images that are advertised, by tag or digest.",
            labels: [registry]
        ),
        MetricFamily("spegel_advertised_image_tags", .gauge, "Tags that are advertised.", labels: [registry]),
        MetricFamily(
            "spegel_advertised_image_digests",
            .gauge,
            "Images that are advertised without a tag.",
            labels: [registry]
        ),
        MetricFamily(
            "spegel_advertised_content_digests",
            .gauge,
            "Digests of content that are advertised.",
            labels: [registry]
        ),
        MetricFamily("spegel_advertised_keys", .gauge, "Keys that are advertised: tags and digests."),
        MetricFamily(
            "http_request_duration_seconds",
            .histogram(buckets: seconds),
            "How long answers of the registry took, to their last byte.",
            labels: [handler, method, code]
        ),
        MetricFamily(
            "http_response_size_bytes",
            .histogram(buckets: sizes),
            "How large the bodies of the answers of the registry were.",
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
            "Bytes of content sent to other nodes.",
            labels: [registry]
        ),
        MetricFamily(
            "spegel_peer_received_bytes_total",
            .counter,
            "Bytes of content received from other nodes.",
            labels: [registry]
        ),
        MetricFamily(
            "spegel_source_received_bytes_total",
            .counter,
            "Bytes of content that came into the store from its source registry after no other node had it.",
            labels: [registry]
        ),
        MetricFamily(
            "spegel_zone_received_bytes_total",
            .counter,
            "Bytes of content received from other nodes, by whether they are in the zone of this one.",
            labels: [.fixed("zone", ["same", "other", "unknown"])]
        ),
        MetricFamily(
            "spegel_registry_requests_total",
            .counter,
            "Requests for content, by how their answers ended.",
            labels: [.fixed("outcome", ["local", "mirrored", "not_found", "rejected", "busy", "cut_short", "aborted"])]
        ),
        MetricFamily(
            "spegel_mirror_failed_attempts_total",
            .counter,
            "Attempts at other nodes that failed, after which the next node was asked while there was one.",
            labels: [
                .fixed(
                    "reason",
                    [
                        "connect_failed", "connect_timeout", "closed", "malformed", "head_timeout", "stalled",
                        "wrong_length", "wrong_digest", "wrong_range", "not_found", "status", "corrupt", "unchecked",
                        "busy",
                    ]
                )
            ]
        ),
        MetricFamily(
            "spegel_verification_failures_total",
            .counter,
            "Content of other nodes that was not what its digest says."
        ),
        MetricFamily(
            "spegel_mirror_hedged_attempts_total",
            .counter,
            "Attempts at another node beside one that was slow."
        ),
        MetricFamily(
            "spegel_transfers_running",
            .gauge,
            "Bodies that are sent to other nodes, and blobs that are fetched from them.",
            labels: [direction]
        ),
        MetricFamily(
            "spegel_transfers_waiting",
            .gauge,
            "Transfers that wait for their turn, since as many run as may.",
            labels: [direction]
        ),
        MetricFamily(
            "spegel_transfers_refused_total",
            .counter,
            "Transfers that waited too long for their turn, or found no place to wait.",
            labels: [direction]
        ),
        MetricFamily(
            "spegel_registry_refused_total",
            .counter,
            "Requests for content that were refused for the client's address or its credentials.",
            labels: [.fixed("reason", ["address", "credentials"])]
        ),
        MetricFamily(
            "spegel_registry_accept_failures_total",
            .counter,
            "How often a connection could not be accepted for lack of descriptors or memory."
        ),
        MetricFamily("spegel_registry_connections", .gauge, "Connections of clients that are open."),
        MetricFamily(
            "spegel_registry_peer_connections",
            .gauge,
            "Connections to the registries of other nodes that are open, idle ones included."
        ),
    ]

    private static let network: [MetricFamily] = [
        MetricFamily(
            "spegel_lookups_total",
            .counter,
            "Searches for the nodes that have a key, by how they ended.",
            labels: [.fixed("outcome", ["found", "not_found", "timed_out", "cancelled"])]
        ),
        MetricFamily("spegel_peers_connected", .gauge, "Nodes that the router is connected to."),
        MetricFamily("spegel_routing_table_peers", .gauge, "Nodes in the routing table."),
        MetricFamily("spegel_provider_records", .gauge, "Provider records that are held for other nodes."),
        MetricFamily("spegel_dht_requests_total", .counter, "Requests of the DHT that were sent to other nodes."),
        MetricFamily(
            "spegel_dht_failed_requests_total",
            .counter,
            "Requests of the DHT to other nodes that failed or took too long."
        ),
        MetricFamily("spegel_dht_handled_messages_total", .counter, "Messages of the DHT from other nodes."),
        MetricFamily(
            "spegel_provider_records_refused_total",
            .counter,
            "Provider records of other nodes that were refused.",
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
            "Connections of other routers that found no place, before any handshake."
        ),
        MetricFamily(
            "spegel_router_handshakes_failed_total",
            .counter,
            "Handshakes with other routers that failed, in both directions.",
            labels: [
                .fixed(
                    "reason",
                    [
                        "timeout", "closed", "negotiation", "tls", "noise", "identity", "unexpected_peer", "self_dial",
                        "limit", "other",
                    ]
                )
            ]
        ),
        MetricFamily(
            "spegel_router_dials_total",
            .counter,
            "Addresses of other routers that were dialled, or not even dialled since they failed a short while ago.",
            labels: [.fixed("outcome", ["started", "failed", "held_back"])]
        ),
        MetricFamily(
            "spegel_router_streams_refused_total",
            .counter,
            "Streams of other routers that were reset.",
            labels: [.fixed("reason", ["count", "memory"])]
        ),
        MetricFamily(
            "spegel_router_peers_dropped_total",
            .counter,
            "Routers that were disconnected because they misbehaved.",
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
            "Whether this node leads the election of the Kubernetes bootstrap: 1 or 0."
        ),
    ]

    private static let state: [MetricFamily] = [
        MetricFamily("spegel_held_contents", .gauge, "Pieces of content that are held."),
        MetricFamily("spegel_held_tags", .gauge, "Tags that are held."),
        MetricFamily(
            "spegel_store_connected",
            .gauge,
            "Whether the content store, containerd's or another, can be followed: 1 or 0."
        ),
        MetricFamily(
            "spegel_store_checks_total",
            .counter,
            "Pieces of content of the store that were checked against their digests, by what was found.",
            labels: [.fixed("outcome", ["sound", "corrupt", "unreadable"])]
        ),
        MetricFamily(
            "spegel_store_faulty_contents",
            .gauge,
            "Pieces of content that are not shared since they are not what their digests say."
        ),
        MetricFamily("spegel_store_outages_total", .counter, "How often the content store was lost."),
        MetricFamily("spegel_ready", .gauge, "Whether the node can do its work, as /readyz says: 1 or 0."),
        MetricFamily(
            "spegel_build_info",
            .gauge,
            "Always 1; the labels say which program this is.",
            labels: [.open("version")]
        ),
    ]
}
