import Monitoring
import OCI
import Routing
import RoutingTestSupport
import Testing

@testable import Registry

extension LoopbackTests {
    /// What nodes tell each other of their zones, and what comes of it.
    @Suite(.serialized, .timeLimit(.minutes(1))) struct ZoneTests {
        private func received(_ metrics: MetricRegistry, _ zone: String) -> Double? {
            let name = #"spegel_zone_received_bytes_total{zone="\#(zone)"} "#
            return metrics.text.split(separator: "\n").first { $0.hasPrefix(name) }
                .flatMap { $0.split(separator: " ").last }.flatMap { Double($0) }
        }

        @Test func zoneIsSentToNodesOnly() async throws {
            let node = try await TestNode { $0.zone = Zone("zone-a") }
            let silent = try await TestNode(host: "127.0.0.2")
            let (bytes, digest) = try makeContent(100)
            let path = "/v2/library/test/blobs/\(digest)?ns=docker.io"
            for node in [node, silent] { node.store.add(bytes, as: digest) }
            let told = try await fetch(node.address, path, headers: ["X-Spegel-Mirrored: true"])
            #expect(told.status == 200 && told.headers["x-spegel-zone"] == "zone-a" && told.body == bytes)
            #expect(try await fetch(node.address, path).headers["x-spegel-zone"] == nil)
            let none = try await fetch(silent.address, path, headers: ["X-Spegel-Mirrored: true"])
            #expect(none.status == 200 && none.headers["x-spegel-zone"] == nil)
            await node.server.shutdown()
            await silent.server.shutdown()
        }

        @Test func prefersPeerWithKnownZone() async throws {
            let metrics = MetricRegistry(SpegelMetrics.families)
            let zones = PeerZones()
            let far = try await TestNode(host: "127.0.0.2") { $0.zone = Zone("zone-a") }
            let near = try await TestNode(host: "127.0.0.3") { $0.zone = Zone("zone-b") }
            let untold = try await TestNode(host: "127.0.0.4")
            // Each has something that no other node has, so that each is asked once; then all have the same, of which some
            // is moved by the kernel and some by the event loop.
            let holders = [far, near, untold]
            var known: [String: [Provider]] = [:]
            var own: [(bytes: [UInt8], digest: Digest)] = []
            for (number, node) in holders.enumerated() {
                let content = try makeContent(1000 * (number + 1), seed: UInt8(number))
                node.store.add(content.bytes, as: content.digest)
                known[content.digest.text] = [node.provider]
                own.append(content)
            }
            // Each is asked for once: a client that asks again makes its mirror doubt the peers that it came from.
            let common = try (0..<11).map { number in
                try makeContent(number % 2 == 0 ? 70_000 : 900_000, seed: UInt8(10 + number))
            }
            for (bytes, digest) in common {
                for node in holders { node.store.add(bytes, as: digest) }
                known[digest.text] = [far, untold, near].map(\.provider)
            }
            // All holders are known at once, as in a small cluster.
            let router = KnowingRouter(known)
            let mirror = try await TestNode(router: router, metrics: metrics) {
                $0.zone = Zone("zone-b")
                $0.peerZones = zones
                $0.peers.choosesProviders = true
            }
            for (bytes, digest) in own {
                #expect(try await fetch(mirror.address, "/v2/x/blobs/\(digest)?ns=docker.io").body == bytes)
            }
            #expect(zones.zone(of: far.provider.peerID) == Zone("zone-a"))
            #expect(zones.zone(of: near.provider.peerID) == Zone("zone-b"))
            #expect(zones.zone(of: untold.provider.peerID) == nil && zones.count == 2)
            #expect(received(metrics, "other") == 1000 && received(metrics, "same") == 2000)
            #expect(received(metrics, "unknown") == 3000)

            for (bytes, digest) in common.dropLast() {
                let answer = try await fetch(mirror.address, "/v2/x/blobs/\(digest)?ns=docker.io")
                let isRight = answer.body == bytes
                #expect(isRight && answer.headers["x-spegel-source"] == near.address.hostHeader)
            }
            // The kernel's last bytes may be counted after they have come.
            #expect(try await TestNode.settle { received(metrics, "same") == 2000 + 5 * 970_000 })
            #expect(received(metrics, "other") == 1000 && received(metrics, "unknown") == 3000)

            // The near one goes: the next best takes its place.
            await near.server.shutdown()
            let (bytes, digest) = common[10]
            let answer = try await fetch(mirror.address, "/v2/x/blobs/\(digest)?ns=docker.io")
            #expect(answer.body == bytes && answer.headers["x-spegel-source"] == untold.address.hostHeader)
            for node in [mirror, far, untold] { await node.server.shutdown() }
        }

        @Test(arguments: [
            "", "-", "a b", "zone/a", String(repeating: "z", count: 64), String(repeating: "z", count: 8000),
        ])
        func malformedZoneCountsAsNone(text: String) async throws {
            let zones = PeerZones()
            let mirror = try await TestNode {
                $0.zone = Zone("zone-a")
                $0.peerZones = zones
            }
            let (bytes, digest) = try makeContent(10)
            let (peer, provider) = try await ScriptedPeer.start { _ in
                [
                    .send(
                        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nContent-Type: application/octet-stream\r\n"
                            + "X-Spegel-Zone: \(text)\r\n\r\n"
                    ), .bytes(bytes),
                ]
            }
            zones.note(Zone("zone-a"), of: provider.peerID)
            mirror.router.setProviders([provider], of: digest.text)
            #expect(try await fetch(mirror.address, "/v2/x/blobs/\(digest)?ns=docker.io").body == bytes)
            #expect(zones.zone(of: provider.peerID) == nil && zones.count == 0)
            await mirror.server.shutdown()
            try await peer.stop()
        }
    }
}
