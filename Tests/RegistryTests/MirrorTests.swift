import ContentStore
import Glibc
import NIOCore
import OCI
import Routing
import RoutingTestSupport
import Testing

@testable import Registry

extension LoopbackTests {
    /// What a node answers with the content of others.
    @Suite(.serialized, .timeLimit(.minutes(3))) struct MirrorTests {
        @Test func relaysFromAPeerOverOneConnection() async throws {
            let (mirror, holder, bytes, digest) = try await TestNode.pair()
            let path = "/v2/library/test/blobs/\(digest)?ns=docker.io"
            try await blocking {
                let client = try RawClient(mirror.address)
                for _ in 0..<5 {
                    try client.send("GET \(path) HTTP/1.1\r\nHost: x\r\n\r\n")
                    let answer = try client.response()
                    #expect(answer?.status == 200 && answer?.body == bytes)
                    #expect(answer?.headers["docker-content-digest"] == digest.text)
                }
                try client.send("GET \(path) HTTP/1.1\r\nHost: x\r\nRange: bytes=-7\r\n\r\n")
                let part = try client.response()
                #expect(part?.status == 206 && part?.body == Array(bytes.suffix(7)))
                try client.send("GET \(path) HTTP/1.1\r\nHost: x\r\nRange: bytes=500000-\r\n\r\n")
                #expect(try client.response()?.status == 416)
                try client.send("HEAD \(path) HTTP/1.1\r\nHost: x\r\n\r\n")
                #expect(try client.response(isHead: true)?.headers["content-length"] == "500000")
            }
            #expect(try await TestNode.settle { mirror.server.metrics.outcomes[.mirrored] == 7 })
            // A 416 gives up its connection; all else goes over one that is kept.
            #expect(try await TestNode.settle { holder.server.metrics.openConnections == 1 })
            await mirror.server.shutdown()
            await holder.server.shutdown()
            #expect(mirror.server.metrics.peerConnections == 0)
        }

        @Test func resolvesTagsAtPeers() async throws {
            let (mirror, holder, _, _) = try await TestNode.pair(10)
            let json = Array(#"{"schemaVersion":2,"manifests":[]}"#.utf8)
            let digest = digestOf(json)
            holder.store.add(json, as: digest)
            let target = Descriptor(mediaType: .ociIndex, digest: digest, size: Int64(json.count))
            holder.index.setTag("docker.io/library/test:1", to: target)
            mirror.router.setProviders([holder.provider], of: "docker.io/library/test:1")
            let path = "/v2/library/test/manifests/1?ns=docker.io"
            let answer = try await fetch(mirror.address, path)
            #expect(answer.status == 200 && answer.body == json)
            #expect(answer.headers["content-type"] == MediaType.ociIndex.text)
            #expect(answer.headers["docker-content-digest"] == digest.text)
            let head = try await fetch(mirror.address, path, method: "HEAD")
            #expect(head.status == 200 && head.headers["docker-content-digest"] == digest.text)
            await mirror.server.shutdown()
            await holder.server.shutdown()
        }

        @Test func allClientsOfOneKeyGetContent() async throws {
            let (mirror, holder, bytes, digest) = try await TestNode.pair(100_000) {
                // However slow the machine: the test shows that no client is turned away.
                $0.peers.headTimeout = .seconds(30)
                $0.peers.progressTimeout = .seconds(30)
            }
            let clients = try (0..<200).map { _ in try RawClient(mirror.address) }
            for client in clients { try client.send("GET /v2/a/blobs/\(digest) HTTP/1.1\r\nHost: x\r\n\r\n") }
            let good = try await blocking {
                try clients.count { try $0.response()?.body == bytes }
            }
            #expect(good == 200)
            #expect(mirror.server.metrics.failedAttempts == 0)
            await mirror.server.shutdown()
            await holder.server.shutdown()
        }

        @Test func reportsMissingAndUnreachableProviders() async throws {
            let (mirror, holder, bytes, digest) = try await TestNode.pair()
            let empty = try await TestNode()
            let gone = try await TestNode()
            await gone.server.shutdown()
            mirror.router.setProviders([gone.provider, empty.provider, holder.provider], of: digest.text)
            let answer = try await fetch(mirror.address, "/v2/a/blobs/\(digest)")
            #expect(answer.status == 200 && answer.body == bytes)
            #expect(try await TestNode.settle { mirror.server.metrics.outcomes[.mirrored] == 1 })
            #expect(mirror.server.metrics.failedAttempts == 2)
            var left: [Provider] = []
            for await provider in mirror.router.providers(of: digest.text, limit: 9) { left.append(provider) }
            #expect(left == [holder.provider, gone.provider])
            for node in [mirror, holder, empty] { await node.server.shutdown() }
        }

        @Test func lookupEndsAtTimeoutOrWithClient() async throws {
            let router = EndlessRouter()
            let hasty = try await TestNode(router: router) { $0.peers.resolveTimeout = .milliseconds(20) }
            let (_, digest) = try makeContent(0)
            #expect(try await fetch(hasty.address, "/v2/a/blobs/\(digest)").status == 404)
            #expect(try await TestNode.settle { router.lookups == 0 })
            await hasty.server.shutdown()

            let patient = try await TestNode(router: router) { $0.peers.resolveTimeout = .seconds(100) }
            var client: RawClient? = try RawClient(patient.address)
            try client?.send("GET /v2/a/blobs/\(digest) HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(try await TestNode.settle { router.lookups == 1 })
            client = nil
            #expect(try await TestNode.settle { router.lookups == 0 })
            #expect(patient.server.metrics.outcomes[.aborted] == 1)
            await patient.server.shutdown()
        }

        /// Whether the content is somewhere was not even asked: that is no 404.
        @Test(arguments: [true, false]) func lookupWithoutPlaceIs503(endsAtOnce: Bool) async throws {
            let mirror = try await TestNode(router: CrowdedRouter(endsAtOnce: endsAtOnce)) {
                $0.peers.resolveTimeout = .milliseconds(20)
                $0.peers.lookupTimeout = .milliseconds(100)
            }
            let (_, digest) = try makeContent(0)
            for path in ["/v2/a/blobs/\(digest)", "/v2/a/manifests/\(digest)", "/v2/a/manifests/v1?ns=docker.io"] {
                for method in ["GET", "HEAD"] {
                    // One leads, and the others share its answer or look anew.
                    let answers = await withTaskGroup { group in
                        for _ in 0..<4 {
                            group.addTask { try? await fetch(mirror.address, path, method: method) }
                        }
                        return await group.reduce(into: []) { $0.append($1) }
                    }
                    for answer in answers {
                        #expect(answer?.status == 503 && answer?.headers["retry-after"] != nil, "\(method) \(path)")
                    }
                }
            }
            await mirror.server.shutdown()
        }

        @Test func knownProvidersNeedNoLookup() async throws {
            let holder = try await TestNode(host: "127.0.0.2")
            let (bytes, digest) = try makeContent(1000)
            let (_, absent) = try makeContent(2000)
            holder.store.add(bytes, as: digest)
            // No time to look for anybody, so what is waited for is a false 404.
            let router = KnowingRouter([digest.text: [holder.provider], absent.text: []])
            let mirror = try await TestNode(router: router) { $0.peers.resolveTimeout = .zero }
            let held = try await fetch(mirror.address, "/v2/a/blobs/\(digest)")
            #expect(held.status == 200 && held.body == bytes)

            let patient = try await TestNode(router: router) { $0.peers.resolveTimeout = .seconds(1000) }
            #expect(try await fetch(patient.address, "/v2/a/blobs/\(absent)").status == 404)
            for node in [mirror, patient, holder] { await node.server.shutdown() }
        }

        @Test func peersAreNeverForwarded() async throws {
            let (mirror, holder, _, digest) = try await TestNode.pair()
            let answer = try await fetch(
                mirror.address,
                "/v2/a/blobs/\(digest)",
                headers: ["X-Spegel-Mirrored: true"]
            )
            #expect(answer.status == 404 && answer.text.contains("BLOB_UNKNOWN"))
            #expect(holder.server.metrics.outcomes[.local] == 0)
            await mirror.server.shutdown()
            await holder.server.shutdown()
        }

        @Test func settingsRestrictWhatIsMirrored() async throws {
            let (_, digest) = try makeContent(1)
            let docker = try #require(RegistryName("docker.io"))
            let node = try await TestNode {
                $0.filter = ContentFilter(registries: [docker], sharesTags: false)
            }
            node.store.add([1], as: digest)
            let target = Descriptor(mediaType: .ociIndex, digest: digest, size: 1)
            node.index.setTag("docker.io/a:1", to: target)
            #expect(try await fetch(node.address, "/v2/a/manifests/1?ns=docker.io").status == 404)
            #expect(try await fetch(node.address, "/v2/a/blobs/\(digest)?ns=docker.io").status == 200)
            #expect(try await fetch(node.address, "/v2/a/blobs/\(digest)?ns=quay.io").status == 404)
            await node.server.shutdown()
        }

        @Test(arguments: 0..<9)
        func failsOverToTheNextPeer(kind: Int) async throws {
            let (mirror, holder, bytes, digest) = try await TestNode.pair()
            let size = bytes.count
            let other = try makeContent(0, seed: 9).digest
            let (bad, provider) = try await ScriptedPeer.start { _ in
                let ok = "HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n"
                switch kind {
                case 0: return [.send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")]
                case 1: return [.send("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")]
                case 2: return [.send("\(ok)Docker-Content-Digest: \(other)\r\n\r\n")]
                case 3: return []
                case 4: return [.send("\(ok)\r\n")]
                case 5: return [.send("\(ok)\r\n"), .bytes(Array(bytes.prefix(100_000)))]
                case 6: return [.send("\(ok)\r\n"), .bytes(Array(bytes.prefix(100_000))), .close]
                case 7: return [.send("no HTTP at all\r\n\r\n")]
                default: return [.close]
                }
            }
            mirror.router.setProviders([provider, holder.provider], of: digest.text)
            let answer = try await fetch(mirror.address, "/v2/a/blobs/\(digest)")
            #expect(answer.status == 200 && answer.isWhole && answer.body == bytes)
            // A silent peer is not waited for: the other one is asked beside it.
            let isHedged = kind == 3 || kind == 4
            // The client may have all before the node has noted it down.
            #expect(try await TestNode.settle { mirror.server.metrics.failedAttempts == (isHedged ? 0 : 1) })
            #expect(try await TestNode.settle { mirror.server.metrics.hedges == (isHedged ? 1 : 0) })
            #expect(bad.requests.count == 1 && bad.requests.first?.contains("X-Spegel-Mirrored: true") == true)
            // Only where bytes had gone out does the next peer go on in the middle.
            let expected = kind == 5 || kind == 6 ? size - 100_000 : size
            #expect(try await TestNode.settle { holder.server.metrics.localBytes == expected })
            await mirror.server.shutdown()
            await holder.server.shutdown()
            try await bad.stop()
        }

        @Test func skipsPeerThatRefusesConnections() async throws {
            let (mirror, holder, bytes, digest) = try await TestNode.pair()
            let gone = try await TestNode(host: "127.0.0.4")
            await gone.server.shutdown()
            mirror.router.setProviders([gone.provider, holder.provider], of: digest.text)
            #expect(try await fetch(mirror.address, "/v2/a/blobs/\(digest)").body == bytes)
            mirror.router.setProviders([gone.provider], of: digest.text)
            let answer = try await fetch(mirror.address, "/v2/a/blobs/\(digest)")
            #expect(answer.status == 404 && answer.text.contains("BLOB_UNKNOWN"))
            await mirror.server.shutdown()
            await holder.server.shutdown()
        }

        @Test func unreachableProvidersAreNot404() async throws {
            let (mirror, holder, bytes, digest) = try await TestNode.pair { $0.peers.headTimeout = .milliseconds(300) }
            var providers: [Provider] = []
            var peers: [ScriptedPeer] = []
            for number in 0..<3 {
                let gone = try await TestNode(host: "127.0.0.4")
                await gone.server.shutdown()
                let steps: [ScriptedPeer.Step] = number == 0 ? [.pause(100_000)] : [.close]
                let (peer, provider) = try await ScriptedPeer.start { _ in steps }
                peers.append(peer)
                providers += [gone.provider, provider]
            }
            mirror.router.setProviders(providers + [holder.provider], of: digest.text)
            let answer = try await fetch(mirror.address, "/v2/a/blobs/\(digest)")
            #expect(answer.status == 200 && answer.body == bytes)
            // Before 404 all have answered that they lack it.
            var lacking: [ScriptedPeer] = []
            var empty: [Provider] = []
            for _ in 0..<4 {
                let (peer, provider) = try await ScriptedPeer.start { _ in
                    [.send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")]
                }
                lacking.append(peer)
                empty.append(provider)
            }
            mirror.router.setProviders(empty, of: digest.text)
            #expect(try await fetch(mirror.address, "/v2/a/blobs/\(digest)").status == 404)
            #expect(lacking.map(\.requests.count) == [1, 1, 1, 1])
            for peer in peers + lacking { try await peer.stop() }
            await mirror.server.shutdown()
            await holder.server.shutdown()
        }

        /// A peer that is found after the only known provider failed in mid-body resumes at the byte reached.
        @Test func looksUpOtherProvidersInMidBody() async throws {
            let (mirror, holder, bytes, digest) = try await TestNode.pair()
            let router = mirror.router
            let (bad, provider) = try await ScriptedPeer.start { _ in
                router.setProviders([holder.provider], of: digest.text)
                return [
                    .send("HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n"),
                    .bytes(Array(bytes.prefix(100_000))), .pause(100), .close,
                ]
            }
            mirror.router.setProviders([provider], of: digest.text)
            let answer = try await fetch(mirror.address, "/v2/a/blobs/\(digest)")
            #expect(answer.status == 200 && answer.isWhole && answer.body == bytes)
            #expect(try await TestNode.settle { holder.server.metrics.localBytes == 400_000 })
            await mirror.server.shutdown()
            await holder.server.shutdown()
            try await bad.stop()
        }

        @Test func cutsShortWhenPeerBodyHasNoEnd() async throws {
            let (mirror, holder, bytes, digest) = try await TestNode.pair()
            let (bad, provider) = try await ScriptedPeer.start { _ in
                [
                    .send("HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n"),
                    .bytes(Array(bytes.prefix(1234))), .close,
                ]
            }
            mirror.router.setProviders([provider], of: digest.text)
            // A reset would make the read fail instead of ending it.
            let answer = try await fetch(mirror.address, "/v2/a/blobs/\(digest)")
            #expect(answer.status == 200 && !answer.isWhole && answer.body == Array(bytes.prefix(1234)))
            #expect(try await TestNode.settle { mirror.server.metrics.outcomes[.cutShort] == 1 })
            await mirror.server.shutdown()
            await holder.server.shutdown()
            try await bad.stop()
        }

        @Test func replacesDeadPooledConnection() async throws {
            let (mirror, holder, bytes, digest) = try await TestNode.pair()
            let (peer, provider) = try await ScriptedPeer.start { _ in
                // The second request on each connection finds it closing. That it checks lets it be asked again.
                let head = "HTTP/1.1 200 OK\r\nContent-Length: \(bytes.count)\r\nX-Spegel-Checked: true\r\n\r\n"
                return [.send(head), .bytes(bytes), .close]
            }
            mirror.router.setProviders([provider], of: digest.text)
            for _ in 0..<20 {
                let answer = try await fetch(mirror.address, "/v2/a/blobs/\(digest)")
                #expect(answer.status == 200 && answer.body == bytes)
            }
            await mirror.server.shutdown()
            await holder.server.shutdown()
            try await peer.stop()
        }

        @Test func closesConnectionOfPeerThatSendsUnaskedAnswer() async throws {
            let (mirror, holder, bytes, digest) = try await TestNode.pair(100)
            let (peer, provider) = try await ScriptedPeer.start { _ in
                let head = "HTTP/1.1 200 OK\r\nContent-Length: \(bytes.count)\r\n\r\n"
                return [.send(head), .bytes(bytes), .pause(20), .send(head), .bytes([UInt8](repeating: 0, count: 100))]
            }
            mirror.router.setProviders([provider], of: digest.text)
            for count in 1...3 {
                let answer = try await fetch(mirror.address, "/v2/a/blobs/\(digest)")
                #expect(answer.status == 200 && answer.body == bytes)
                #expect(try await TestNode.settle { mirror.server.metrics.peerConnections == 0 })
                #expect(peer.requests.count == count)
            }
            await mirror.server.shutdown()
            await holder.server.shutdown()
            try await peer.stop()
        }

        @Test func throttlesPeerWhenClientDoesNotRead() async throws {
            let (mirror, holder, _, digest) = try await TestNode.pair()
            let total = 4 << 30
            let (peer, provider) = try await ScriptedPeer.start { _ in
                [.send("HTTP/1.1 200 OK\r\nContent-Length: \(total)\r\n\r\n"), .endless]
            }
            mirror.router.setProviders([provider], of: digest.text)
            let client = try RawClient(mirror.address, receiveBuffer: 64 << 10)
            try client.send("GET /v2/a/blobs/\(digest) HTTP/1.1\r\nHost: x\r\n\r\n")
            _ = try await blocking { try client.read(upTo: 10) }
            var last = -1
            // It comes to a halt once the sockets' buffers are full.
            let halted = try await TestNode.settle {
                usleep(100_000)
                defer { last = peer.sentBytes }
                return last == peer.sentBytes
            }
            #expect(halted && peer.sentBytes < 64 << 20)
            #expect(mirror.server.metrics.mirrorsInFlight == 1)
            client.reset()
            #expect(try await TestNode.settle { mirror.server.metrics.peerConnections == 0 })
            #expect(mirror.server.metrics.outcomes[.aborted] == 1)
            await mirror.server.shutdown()
            await holder.server.shutdown()
            try await peer.stop()
        }

        @Test func abortedDownloadsLeaveNothingBehind() async throws {
            let (mirror, holder, _, digest) = try await TestNode.pair(8 << 20)
            let zeros = [UInt8](repeating: 0, count: 8 << 20)
            mirror.store.add(zeros, as: digestOf(zeros))
            let paths = [digestOf(zeros), digest].map { "/v2/a/blobs/\($0)" }
            _ = try await fetch(mirror.address, "/v2/a/blobs/\(digest)")
            let before = Self.openDescriptors()
            for number in 0..<200 {
                let path = paths[number % 4 == 0 ? 0 : 1]
                try await blocking {
                    let client = try RawClient(mirror.address)
                    try client.send("GET \(path) HTTP/1.1\r\nHost: x\r\n\r\n")
                    if number % 3 > 0 { _ = try client.read(upTo: 1000) }
                    if number % 2 > 0 { client.reset() }
                }
            }
            let settled = try await TestNode.settle {
                let metrics = mirror.server.metrics
                return metrics.openConnections == 0 && metrics.requestsInFlight == 0 && metrics.mirrorsInFlight == 0
                    && holder.server.metrics.requestsInFlight == 0 && Self.openDescriptors() <= before
            }
            #expect(settled, "\(mirror.server.metrics), \(Self.openDescriptors()) descriptors, \(before) before")
            await mirror.server.shutdown()
            await holder.server.shutdown()
        }

        @Test func shutdownLetsTransfersEnd() async throws {
            let (mirror, holder, bytes, digest) = try await TestNode.pair(8 << 20)
            let client = try RawClient(mirror.address, receiveBuffer: 64 << 10)
            let idle = try RawClient(mirror.address)
            try idle.send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(try await blocking { try idle.response()?.status } == 200)
            try client.send("GET /v2/a/blobs/\(digest) HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(try await TestNode.settle { mirror.server.metrics.relayedBytes > 0 })
            async let shutdown: Void = mirror.server.shutdown()
            #expect(try await blocking { try idle.read(upTo: 1).isEmpty })
            let answer = try await blocking { try client.response() }
            #expect(answer?.body == bytes)
            await shutdown
            #expect(mirror.server.metrics.openConnections == 0)
            #expect(throws: RawClient.Failure.self) { try RawClient(mirror.address) }
            await holder.server.shutdown()
        }

        @Test func shutdownEndsAfterTheGrace() async throws {
            let node = try await TestNode { $0.clients.shutdownGrace = .milliseconds(50) }
            let (bytes, digest) = try makeContent(32 << 20)
            node.store.add(bytes, as: digest)
            let client = try RawClient(node.address, receiveBuffer: 64 << 10)
            try client.send("GET /v2/a/blobs/\(digest) HTTP/1.1\r\nHost: x\r\n\r\n")
            _ = try await blocking { try client.read(upTo: 1) }
            await node.server.shutdown()
            #expect(node.server.metrics.openConnections == 0)
        }

        @Test func connectionsAboveLimitWait() async throws {
            let node = try await TestNode { $0.clients.maximumConnections = 1 }
            var first: RawClient? = try RawClient(node.address)
            try first?.send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(try first?.response()?.status == 200)
            let second = try RawClient(node.address)
            try second.send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(node.server.metrics.openConnections == 1)
            first = nil
            #expect(try await blocking { try second.response()?.status } == 200)
            #expect(node.server.metrics.openConnections == 1)
            await node.server.shutdown()
        }

        private static func openDescriptors() -> Int {
            guard let folder = opendir("/proc/self/fd") else { return -1 }
            defer { closedir(folder) }
            var count = 0
            while readdir(folder) != nil { count += 1 }
            return count
        }
    }
}
