import Monitoring
import NIOCore
import OCI
import Routing
import RoutingTestSupport
import Testing

@testable import Registry

extension LoopbackTests {
    /// What a node counts, as Prometheus reads it.
    @Suite(.serialized, .timeLimit(.minutes(1))) struct CounterTests {
        func value(_ metrics: MetricRegistry, _ name: String) -> Double? {
            metrics.text.split(separator: "\n").first { $0.hasPrefix(name + " ") }
                .flatMap { $0.split(separator: " ").last }.flatMap { Double($0) }
        }

        @Test func bytesBetweenNodesAreCountedOnBoth() async throws {
            let mirrored = MetricRegistry(SpegelMetrics.families)
            let held = MetricRegistry(SpegelMetrics.families)
            let mirror = try await TestNode(metrics: mirrored)
            let holder = try await TestNode(host: "127.0.0.2", checksFiles: true, metrics: held)
            let (bytes, digest) = try makeContent(300_000)
            holder.store.add(bytes, as: digest)
            // No node listens there, so the next provider is asked.
            let dead = Provider(
                peerID: "dead",
                addresses: [try SocketAddress(ipAddress: "127.0.0.3", port: 1)]
            )
            mirror.router.setProviders([dead, holder.provider], of: digest.text)
            try await blocking {
                let client = try RawClient(mirror.address)
                for registry in ["docker.io", "unheard.example"] {
                    let path = "/v2/library/test/blobs/\(digest)?ns=\(registry)"
                    try client.send("GET \(path) HTTP/1.1\r\nHost: x\r\n\r\n")
                    #expect(try client.response()?.body == bytes)
                }
                let absent = "/v2/x/blobs/sha256:\(String(repeating: "0", count: 64))?ns=quay.io"
                try client.send("GET \(absent) HTTP/1.1\r\nHost: x\r\nX-Spegel-External: true\r\n\r\n")
                #expect(try client.response()?.status == 404)
                try client.send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
                #expect(try client.response()?.status == 200)
            }
            let live = #"http_request_duration_seconds_count{handler="/livez",method="GET",code="200"}"#
            #expect(try await TestNode.settle { value(mirrored, live) == 1 })
            let expected: [(String, Double)] = [
                (#"spegel_mirror_requests_total{registry="docker.io",cache="hit",source="internal"}"#, 1),
                (#"spegel_mirror_requests_total{registry="other",cache="hit",source="internal"}"#, 1),
                (#"spegel_mirror_requests_total{registry="quay.io",cache="miss",source="external"}"#, 1),
                (#"spegel_peer_received_bytes_total{registry="docker.io"}"#, 300_000),
                (#"spegel_client_sent_bytes_total{registry="docker.io"}"#, 300_000),
                (#"spegel_client_sent_bytes_total{registry="other"}"#, 300_000),
                (#"spegel_lookups_total{outcome="found"}"#, 2),
                (#"spegel_lookups_total{outcome="not_found"}"#, 1),
                (#"spegel_resolve_duration_seconds_count{router="libp2p"}"#, 3),
                (#"http_request_duration_seconds_count{handler="/v2/*",method="GET",code="200"}"#, 2),
                (#"http_request_duration_seconds_count{handler="/v2/*",method="GET",code="404"}"#, 1),
                (#"http_response_size_bytes_sum{handler="/v2/*",method="GET",code="200"}"#, 600_000),
                (#"http_requests_inflight{handler="/v2/*"}"#, 0),
            ]
            for (name, number) in expected { #expect(value(mirrored, name) == number, "\(name)") }
            // Whether the dead one is tried a second time is the transfer's affair.
            let failed = mirror.server.metrics.failedAttempts
            #expect(failed >= 1)
            let failures = #"spegel_mirror_failed_attempts_total{reason="connect_failed"}"#
            #expect(value(mirrored, failures) == Double(failed))
            let last = try #require(value(mirrored, "spegel_mirror_last_success_timestamp_seconds"))
            #expect(last > 1_700_000_000)
            let sent = #"spegel_peer_sent_bytes_total{registry="docker.io"}"#
            #expect(try await TestNode.settle { value(held, sent) == 300_000 })
            #expect(!mirrored.text.contains("unheard") && !held.text.contains("unheard"))
            await mirror.server.shutdown()
            await holder.server.shutdown()
        }

        @Test func stuckProcessIsNotAlive() async throws {
            let node = try await TestNode(stalls: ["event loop 1 has not moved for 61 s"])
            try await blocking {
                let client = try RawClient(node.address)
                try client.send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
                let answer = try client.response()
                #expect(answer?.status == 503 && answer?.text == "event loop 1 has not moved for 61 s\n")
            }
            await node.server.shutdown()
        }
    }
}

struct RegistryLabelsTests {
    @Test func onlyConfiguredRegistriesHaveALabel() throws {
        let labels = RegistryLabels(configured: [try #require(RegistryName("registry.lab:5000"))])
        labels.learn(["quay.io"])
        #expect(labels.label("registry.lab:5000") == "registry.lab:5000")
        #expect(labels.label("docker.io") == "other" && labels.label("quay.io") == "other")
        #expect(labels.label(nil) == "other")
    }

    @Test func wellKnownAndLearntRegistriesHaveLabels() {
        let labels = RegistryLabels(configured: nil)
        #expect(labels.label(RegistryName("docker.io")) == "docker.io")
        #expect(labels.label("registry.example") == "other")
        labels.learn(["registry.example"])
        #expect(labels.label("registry.example") == "registry.example")
        labels.learn((0..<1000).map { "r\($0).example" })
        let known = (0..<1000).filter { labels.label("r\($0).example") != "other" }.count
        #expect(known == RegistryLabels.maximumLearnt - 1)
    }
}
