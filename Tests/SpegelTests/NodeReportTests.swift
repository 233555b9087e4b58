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
}
