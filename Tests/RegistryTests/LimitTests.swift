import ContentStore
import Glibc
import NIOCore
import OCI
import Routing
import RoutingTestSupport
import Synchronization
import Testing

@testable import Registry

extension LoopbackTests {
    /// What a node does at the limits of its transfers.
    @Suite(.serialized, .timeLimit(.minutes(3))) struct LimitTests {
        private let mirrored = "X-Spegel-Mirrored: true\r\n"

        /// A client that has begun to fetch more than the system buffers, and reads none of it.
        private func hold(_ address: SocketAddress, _ digest: Digest) throws -> RawClient {
            let client = try RawClient(address, receiveBuffer: 4096)
            try client.send("GET /v2/a/blobs/\(digest) HTTP/1.1\r\nHost: x\r\n\(mirrored)\r\n")
            return client
        }

        @Test func uploadQueuedTooLongIs503() async throws {
            let holder = try await TestNode {
                $0.transfers.maximumUploads = 1
                $0.transfers.uploadTimeout = .milliseconds(50)
            }
            let (bytes, digest) = try makeContent(16 << 20)
            let (small, smallDigest) = try makeContent(1 << 20, seed: 2)
            holder.store.add(bytes, as: digest)
            holder.store.add(small, as: smallDigest)
            var first: RawClient? = try hold(holder.address, digest)
            #expect(try await TestNode.settle { holder.server.metrics.uploads.running == 1 })
            let path = "/v2/a/blobs/\(digest)"
            let refused = try await fetch(holder.address, path, headers: ["X-Spegel-Mirrored: true"])
            #expect(refused.status == 503 && refused.headers["retry-after"] == "1")
            #expect(refused.text.contains("TOOMANYREQUESTS"))
            #expect(holder.server.metrics.uploads.refused == 1)
            #expect(try await TestNode.settle { holder.server.metrics.outcomes[.busy] == 1 })
            // What is small, a head, a small range and a client of the node itself need no turn.
            let headers = ["X-Spegel-Mirrored: true"]
            #expect(try await fetch(holder.address, "/v2/a/blobs/\(smallDigest)", headers: headers).body == small)
            #expect(try await fetch(holder.address, path, method: "HEAD", headers: headers).status == 200)
            let part = try await fetch(holder.address, path, headers: headers + ["Range: bytes=5-9"])
            #expect(part.status == 206 && part.body == Array(bytes[5...9]))
            #expect(try await fetch(holder.address, path).body == bytes)
            // When the first one has gone there is a place.
            first = nil
            #expect(first == nil)
            #expect(try await TestNode.settle { holder.server.metrics.uploads.running == 0 })
            #expect(try await fetch(holder.address, path, headers: headers).body == bytes)
            await holder.server.shutdown()
        }

        @Test func queuedUploadRunsWhenAnotherEnds() async throws {
            let holder = try await TestNode {
                $0.transfers.maximumUploads = 1
                $0.transfers.uploadTimeout = .seconds(60)
            }
            let (bytes, digest) = try makeContent(16 << 20)
            holder.store.add(bytes, as: digest)
            var first: RawClient? = try hold(holder.address, digest)
            #expect(try await TestNode.settle { holder.server.metrics.uploads.running == 1 })
            async let second = fetch(holder.address, "/v2/a/blobs/\(digest)", headers: ["X-Spegel-Mirrored: true"])
            #expect(try await TestNode.settle { holder.server.metrics.uploads.waiting == 1 })
            // One that goes while it waits leaves no trace.
            var third: RawClient? = try hold(holder.address, digest)
            #expect(try await TestNode.settle { holder.server.metrics.uploads.waiting == 2 })
            third = nil
            #expect(try await TestNode.settle { holder.server.metrics.uploads.waiting == 1 })
            first = nil
            #expect(first == nil && third == nil)
            #expect(try await second.body == bytes)
            #expect(try await TestNode.settle { holder.server.metrics.uploads == .init() })
            await holder.server.shutdown()
        }

        @Test func retriesBusyPeerInsteadOf404() async throws {
            let count = Mutex(0)
            let busy = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
            let (bytes, digest) = try makeContent(1000)
            let (peer, provider) = try await ScriptedPeer.start { _ in
                let number = count.withLock { count in
                    count += 1
                    return count
                }
                if number < 3 { return [.send(busy)] }
                return [.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"), .bytes(bytes)]
            }
            let mirror = try await TestNode()
            mirror.router.setProviders([provider], of: digest.text)
            let answer = try await fetch(mirror.address, "/v2/a/blobs/\(digest)")
            #expect(answer.status == 200 && answer.body == bytes && peer.requests.count == 3)
            await mirror.server.shutdown()

            let hasty = try await TestNode { $0.peers.busyTimeout = .milliseconds(100) }
            count.withLock { $0 = -1000 }
            hasty.router.setProviders([provider], of: digest.text)
            let refused = try await fetch(hasty.address, "/v2/a/blobs/\(digest)")
            #expect(refused.status == 503 && refused.headers["retry-after"] == "1")
            #expect(try await TestNode.settle { hasty.server.metrics.outcomes[.busy] == 1 })
            await hasty.server.shutdown()
            try await peer.stop()
        }

        @Test func largeDownloadsAreQueuedAndSmallOnesAreNot() async throws {
            let mirror = try await TestNode {
                $0.transfers.maximumDownloads = 1
                $0.peers.progressTimeout = .seconds(60)
            }
            let holder = try await TestNode(host: "127.0.0.2")
            let (bytes, digest) = try makeContent(16 << 20)
            let json = Array(#"{"schemaVersion":2,"manifests":[]}"#.utf8)
            let manifest = digestOf(json)
            holder.store.add(bytes, as: digest)
            holder.store.add(json, as: manifest)
            holder.index.insert(manifest, size: Int64(json.count), mediaType: .ociIndex)
            for key in [digest, manifest] { mirror.router.setProviders([holder.provider], of: key.text) }
            var first: RawClient? = try hold(mirror.address, digest: digest)
            #expect(try await TestNode.settle { mirror.server.metrics.downloads.running == 1 })
            async let second = fetch(mirror.address, "/v2/a/blobs/\(digest)")
            #expect(try await TestNode.settle { mirror.server.metrics.downloads.waiting == 1 })
            #expect(try await fetch(mirror.address, "/v2/a/manifests/\(manifest)").body == json)
            #expect(try await fetch(mirror.address, "/v2/a/blobs/\(digest)", method: "HEAD").status == 200)
            let range = try await fetch(mirror.address, "/v2/a/blobs/\(digest)", headers: ["Range: bytes=5-9"])
            #expect(range.status == 206 && range.body == Array(bytes[5...9]))
            first = nil
            #expect(first == nil)
            #expect(try await second.body == bytes)
            #expect(try await TestNode.settle { mirror.server.metrics.downloads == .init() })
            for node in [mirror, holder] { await node.server.shutdown() }
        }

        private func hold(_ address: SocketAddress, digest: Digest) throws -> RawClient {
            let client = try RawClient(address, receiveBuffer: 4096)
            try client.send("GET /v2/a/blobs/\(digest) HTTP/1.1\r\nHost: x\r\n\r\n")
            return client
        }

        @Test(arguments: [false, true]) func limitedRatesChangeNoByte(readersOnly: Bool) async throws {
            let mirror = try await TestNode { $0.transfers.downloadRate = 80_000_000 }
            let holder = try await TestNode(host: "127.0.0.2", readersOnly: readersOnly) {
                $0.transfers.uploadRate = 70_000_000
            }
            // Each is asked for once: a client that repeats a request is thought to have got wrong bytes.
            let contents = try (1...4).map { try makeContent(16_000_001, seed: $0) }
            for (bytes, digest) in contents {
                holder.store.add(bytes, as: digest)
                if readersOnly { holder.index.insert(digest, size: Int64(bytes.count), mediaType: nil) }
                mirror.router.setProviders([holder.provider], of: digest.text)
            }
            for (bytes, digest) in contents[..<2] {
                let isRight = try await fetch(mirror.address, "/v2/a/blobs/\(digest)").body == bytes
                #expect(isRight)
            }
            let (bytes, third) = contents[2]
            let range = "Range: bytes=1000-4000000"
            let part = try await fetch(mirror.address, "/v2/a/blobs/\(third)", headers: [range])
            let isRight = part.body == Array(bytes[1000...4_000_000])
            #expect(isRight)
            let digest = contents[3].digest
            // A client that goes while a chunk waits for its time.
            var client: RawClient? = try hold(mirror.address, digest: digest)
            #expect(try await TestNode.settle { holder.server.metrics.uploads.running == 1 })
            client = nil
            #expect(client == nil)
            #expect(try await TestNode.settle { mirror.server.metrics.requestsInFlight == 0 })
            #expect(try await TestNode.settle { holder.server.metrics.requestsInFlight == 0 })
            for node in [mirror, holder] { await node.server.shutdown() }
        }

        /// The load is spread over those who have the content.
        @Test func asksAllProviders() async throws {
            let mirror = try await TestNode {
                $0.peers.choosesProviders = true
                $0.checks.checkedSize = 1000
            }
            var holders: [TestNode] = []
            let (bytes, digest) = try makeContent(1000)
            for number in 2...6 {
                let holder = try await TestNode(host: "127.0.0.\(number)")
                holder.store.add(bytes, as: digest)
                holders.append(holder)
            }
            mirror.router.setProviders(holders.map(\.provider), of: digest.text)
            for _ in 0..<200 { #expect(try await fetch(mirror.address, "/v2/a/blobs/\(digest)").status == 200) }
            let counts = holders.map { $0.server.metrics.outcomes[.local] ?? 0 }
            #expect(counts.allSatisfy { $0 > 0 }, "\(counts)")
            for node in holders + [mirror] { await node.server.shutdown() }
        }

        private static func openDescriptors() -> Int {
            guard let folder = opendir("/proc/self/fd") else { return -1 }
            defer { closedir(folder) }
            var count = 0
            while readdir(folder) != nil { count += 1 }
            return count
        }

        /// containerd 2.x asks for many ranges at a time and resets most of them.
        @Test func thousandsOfEarlyLeaversLeaveNothingBehind() async throws {
            let mirror = try await TestNode {
                $0.transfers.maximumDownloads = 8
                $0.transfers.maximumDownloadsPerPeer = 8
            }
            let holder = try await TestNode(host: "127.0.0.2") {
                $0.transfers.maximumUploads = 4
                $0.transfers.uploadTimeout = .milliseconds(20)
            }
            let (bytes, digest) = try makeContent(4 << 20)
            let (_, missing) = try makeContent(10, seed: 9)
            holder.store.add(bytes, as: digest)
            mirror.router.setProviders([holder.provider], of: digest.text)
            func abort(_ count: Int) async throws {
                try await blocking {
                    for number in 0..<count {
                        // To the mirror and to the holder; soon, after some bytes, and with FIN or reset.
                        let client = try RawClient(number % 3 == 0 ? holder.address : mirror.address)
                        let peer = number % 3 == 0 ? mirrored : ""
                        let key = number % 7 == 6 ? missing : digest
                        let range = number % 2 == 0 ? "Range: bytes=\(number % 50 * 50_000)-\r\n" : ""
                        try client.send("GET /v2/a/blobs/\(key) HTTP/1.1\r\nHost: x\r\n\(peer)\(range)\r\n")
                        if number % 25 == 0 { _ = try? client.read(upTo: 1 << 16) }
                        if number % 4 == 0 { client.reset() }
                    }
                }
            }
            func isQuiet(_ node: TestNode) -> Bool {
                let metrics = node.server.metrics
                return metrics.openConnections == 0 && metrics.requestsInFlight == 0 && metrics.mirrorsInFlight == 0
                    && metrics.uploads.running == 0 && metrics.uploads.waiting == 0 && metrics.downloads.running == 0
                    && metrics.downloads.waiting == 0 && node.server.heldBytes == 0
            }
            let descriptors = Self.openDescriptors()
            try await abort(2500)
            #expect(try await TestNode.settle { isQuiet(mirror) })
            // The answers are what they were before.
            let (other, otherDigest) = try makeContent(4 << 20, seed: 3)
            holder.store.add(other, as: otherDigest)
            mirror.router.setProviders([holder.provider], of: otherDigest.text)
            let isRight = try await fetch(mirror.address, "/v2/a/blobs/\(otherDigest)").body == other
            #expect(isRight)
            await mirror.server.shutdown()
            #expect(try await TestNode.settle { isQuiet(holder) })
            #expect(mirror.server.metrics.peerConnections == 0)
            await holder.server.shutdown()
            #expect(try await TestNode.settle { Self.openDescriptors() <= descriptors })
        }
    }
}
