import LibP2P
import Monitoring
import Testing

@testable import spegel

struct NodeReportTests {
    @Test func casesBecomeLabels() {
        #expect(NodeReport.label("protocolViolation") == "protocol_violation")
        #expect(NodeReport.label("tls") == "tls")
    }

    /// A metric with a label that its family does not know would be lost.
    @Test func everyReasonHasItsPlaceInTheMetrics() {
        let registry = MetricRegistry(SpegelMetrics.families)
        registry.collect { metrics in
            for reason in HandshakeFailure.allCases {
                let label = [("reason", NodeReport.label(reason.rawValue))]
                metrics.set("spegel_router_handshakes_failed_total", label, to: 7)
            }
            for reason in DropReason.allCases {
                let label = [("reason", NodeReport.label(reason.rawValue))]
                metrics.set("spegel_router_peers_dropped_total", label, to: 7)
            }
        }
        let lines = registry.text.split(separator: "\n").filter { $0.hasSuffix(" 7") }
        #expect(lines.count == HandshakeFailure.allCases.count + DropReason.allCases.count)
    }

    /// go-libp2p's dashboards ask for these names, labels and values.
    @Test func connectionsHaveTheLabelsOfLibP2P() {
        let registry = MetricRegistry(SpegelMetrics.families)
        let kinds = [
            ConnectionKind(
                isInbound: false,
                security: "/tls/1.0.0",
                muxer: "/yamux/1.0.0",
                hasEarlyMuxer: true,
                ipVersion: .ip4
            ),
            ConnectionKind(
                isInbound: true,
                security: "/noise",
                muxer: "/yamux/1.0.0",
                hasEarlyMuxer: false,
                ipVersion: .ip6
            ),
        ]
        registry.collect { metrics in
            for kind in kinds {
                let dir = [("dir", kind.isInbound ? "inbound" : "outbound")]
                metrics.set("libp2p_swarm_connections_opened_total", dir + kind.labels, to: 3)
            }
            for reason in DialError.Reason.allCases {
                let labels = [("transport", "tcp"), ("error", reason.rawValue), ("ip_version", "ip4")]
                metrics.set("libp2p_swarm_dial_errors_total", labels, to: 4)
            }
        }
        for kind in kinds {
            registry.record(.milliseconds(2), in: "libp2p_swarm_handshake_latency_seconds", kind.labels)
        }
        let text = registry.text
        #expect(
            text.contains(
                "connections_opened_total{dir=\"outbound\",transport=\"tcp\",security=\"/tls/1.0.0\","
                    + "muxer=\"/yamux/1.0.0\",early_muxer=\"true\",ip_version=\"ip4\"} 3"
            )
        )
        #expect(
            text.contains(
                "handshake_latency_seconds_bucket{transport=\"tcp\",security=\"/noise\",muxer=\"/yamux/1.0.0\","
                    + "early_muxer=\"false\",ip_version=\"ip6\",le=\"0.0021970000000000006\"} 1"
            )
        )
        #expect(text.contains("dial_errors_total{transport=\"tcp\",error=\"connection refused\",ip_version=\"ip4\"} 4"))
        #expect(!text.contains("\"other\",security") && !text.contains("ip_version=\"other\""))
    }
}
