import ContentStore
import Logging
import Membership
import Multiformats
import NIOCore
import NIOEmbedded
import NIOHTTP1
import OCI
import Routing
import RoutingTestSupport
import Testing

@testable import Registry

extension LoopbackTests {
    /// What nodes prove to each other when they exchange content.
    @Suite(.serialized, .timeLimit(.minutes(2))) struct NodeProofTests {
        private static let tag = "docker.io/library/test:1"
        private static let tagPath = "/v2/library/test/manifests/1?ns=docker.io"
        private static let manifest = Array(#"{"schemaVersion":2,"manifests":[]}"#.utf8)
        private let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

        private func ring(_ bytes: UInt8...) throws -> KeyRing {
            KeyRing(
                try #require(ClusterKeys(bytes.compactMap { ClusterKey(secret: [UInt8](repeating: $0, count: 32)) }))
            )
        }

        private func node(
            _ id: String,
            host: String = "127.0.0.1",
            configure: @escaping (inout RegistryConfiguration) -> Void
        ) async throws -> (node: TestNode, provider: Provider) {
            let node = try await TestNode(host: host, checksFiles: true) {
                $0.peerID = id
                configure(&$0)
            }
            return (node, Provider(peerID: id, addresses: [node.address]))
        }

        private func password(_ password: String) throws -> BasicAuthentication {
            let secret = SecretFolder()
            try secret.set(["username": "node", "password": password])
            return try BasicAuthentication(folder: CredentialFolder(secret.path), logger: logger)
        }

        private func header(_ password: String) throws -> String {
            let credentials = try #require(Credentials(username: Array("node".utf8), password: Array(password.utf8)))
            return "Authorization: \(credentials.header)"
        }

        /// Gives a node an image with a layer.
        private func fill(_ node: TestNode) throws -> (bytes: [UInt8], digest: Digest) {
            let digest = digestOf(Self.manifest)
            node.store.add(Self.manifest, as: digest)
            let target = Descriptor(mediaType: .ociIndex, digest: digest, size: Int64(Self.manifest.count))
            node.index.setTag(Self.tag, to: target)
            let (bytes, blob) = try makeContent(300_000)
            node.store.add(bytes, as: blob)
            return (bytes, blob)
        }

        private func settings(_ secret: String) throws -> (inout RegistryConfiguration) -> Void {
            if secret == "key" {
                let ring = try ring(1)
                return { $0.membership = ring }
            }
            let authentication = try password("right")
            return {
                $0.authentication = authentication
                $0.sendsPassword = secret == "plain"
            }
        }

        @Test(arguments: ["key", "password", "plain"])
        func nodesOfClusterShare(secret: String) async throws {
            let settings = try settings(secret)
            let (mirror, _) = try await node("mirror", configure: settings)
            let (holder, provider) = try await node("holder", host: "127.0.0.2", configure: settings)
            let (bytes, digest) = try fill(holder)
            for key in [digest.text, Self.tag] { mirror.router.setProviders([provider], of: key) }
            let headers = secret == "key" ? [] : [try header("right")]
            let path = "/v2/a/blobs/\(digest)"
            #expect(try await fetch(mirror.address, path, headers: headers).body == bytes)
            let part = try await fetch(mirror.address, path, headers: headers + ["Range: bytes=5-99"])
            #expect(part.status == 206 && part.body == Array(bytes[5...99]))
            for method in ["HEAD", "GET"] {
                let answer = try await fetch(mirror.address, Self.tagPath, method: method, headers: headers)
                #expect(answer.status == 200 && answer.body == (method == "GET" ? Self.manifest : []))
            }
            #expect(holder.server.metrics.refusals.values.allSatisfy { $0 == 0 })
            for node in [mirror, holder] { await node.server.shutdown() }
        }

        @Test func nodesOfOtherClusterGetNothing() async throws {
            let (own, other) = (try ring(1), try ring(2))
            let (mirror, _) = try await node("mirror") { $0.membership = own }
            let (keyless, _) = try await node("keyless") { _ in }
            let (holder, provider) = try await node("holder", host: "127.0.0.2") { $0.membership = other }
            let (_, digest) = try fill(holder)
            for node in [mirror, keyless] {
                for key in [digest.text, Self.tag] { node.router.setProviders([provider], of: key) }
                #expect(try await fetch(node.address, "/v2/a/blobs/\(digest)").status == 404)
                #expect(try await fetch(node.address, Self.tagPath).status == 404)
            }
            #expect(holder.server.metrics.refusals[.proof] == 4)
            for node in [mirror, keyless, holder] { await node.server.shutdown() }
        }

        /// A record may name an address where another node listens by now.
        @Test func proofForAnotherPeerIsRefused() async throws {
            let ring = try ring(1)
            let (mirror, _) = try await node("mirror") { $0.membership = ring }
            let (holder, _) = try await node("holder", host: "127.0.0.2") { $0.membership = ring }
            let (_, digest) = try fill(holder)
            mirror.router.setProviders([Provider(peerID: "former", addresses: [holder.address])], of: digest.text)
            #expect(try await fetch(mirror.address, "/v2/a/blobs/\(digest)").status == 404)
            #expect(holder.server.metrics.refusals[.proof] == 1)
            for node in [mirror, holder] { await node.server.shutdown() }
        }

        private func field(_ name: String, of request: String) -> String? {
            request.split(separator: "\r\n").first { $0.lowercased().hasPrefix(name + ": ") }
                .map { String($0.dropFirst(name.count + 2)) }
        }

        /// A stranger announces a key, and gets a request.
        @Test(arguments: ["key", "password"])
        func strangerLearnsNoSecretAndProvidesNoTag(secret: String) async throws {
            let settings = try settings(secret)
            let (holder, _) = try await node("holder", host: "127.0.0.2", configure: settings)
            let (_, digest) = try fill(holder)
            let forged = Self.manifest
            let (stranger, provider) = try await ScriptedPeer.start { request in
                let proof = self.field("x-spegel-proof", of: request).map { "X-Spegel-Proof: \($0)\r\n" } ?? ""
                return [
                    .send(
                        "HTTP/1.1 200 OK\r\nContent-Length: \(forged.count)\r\nContent-Type: application/json\r\n"
                            + "Docker-Content-Digest: \(digestOf(forged))\r\n\(proof)\r\n"
                    ), .bytes(forged),
                ]
            }
            let (mirror, _) = try await node("mirror", configure: settings)
            let headers = secret == "key" ? [] : [try header("right")]
            for key in [digest.text, Self.tag] { mirror.router.setProviders([provider], of: key) }
            let answer = try await fetch(mirror.address, Self.tagPath, headers: headers)
            #expect(answer.status == 404, "its answer for a tag is not believed, not even one with the request's proof")
            _ = try await fetch(mirror.address, "/v2/a/blobs/\(digest)", headers: headers)
            #expect(stranger.requests.count >= 2)
            for request in stranger.requests {
                #expect(self.field("authorization", of: request) == nil)
                // What it got is worthless at another node.
                let proof = try #require(self.field("x-spegel-proof", of: request))
                let replayed = try await fetch(
                    holder.address,
                    String(try #require(request.split(separator: " ").dropFirst().first)),
                    headers: ["X-Spegel-Mirrored: true", "X-Spegel-Proof: \(proof)"]
                )
                #expect(replayed.status == 403)
            }
            for node in [mirror, holder] { await node.server.shutdown() }
            try await stranger.stop()
        }

        @Test func passwordIsSentOnlyWhereThatIsSet() async throws {
            let (peer, provider) = try await ScriptedPeer.start { request in
                request.lowercased().contains("authorization: basic")
                    ? [.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")]
                    : [.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")]
            }
            let authentication = try password("right")
            let digest = digestOf(Array("x".utf8))
            for (isPlain, status) in [(false, 404), (true, 200)] {
                let (mirror, _) = try await node("mirror") {
                    $0.authentication = authentication
                    $0.sendsPassword = isPlain
                }
                mirror.router.setProviders([provider], of: digest.text)
                let answer = try await fetch(mirror.address, "/v2/a/blobs/\(digest)", headers: [header("right")])
                #expect(answer.status == status)
                let request = try #require(peer.requests.last)
                #expect((self.field("authorization", of: request) != nil) == isPlain)
                #expect((self.field("x-spegel-proof", of: request) != nil) == !isPlain)
                await mirror.server.shutdown()
            }
            try await peer.stop()
        }

        /// The status of one request of a client at an address, and why it was refused.
        private func answer(
            _ headers: HTTPHeaders,
            from address: String,
            _ configure: (inout RegistryConfiguration) -> Void
        ) throws -> (status: UInt, refusals: [ClientRejection: Int]) {
            var configuration = RegistryConfiguration(host: "", port: 0)
            configuration.peerID = "holder"
            configure(&configuration)
            let services = RegistryServices(
                configuration: configuration,
                store: TestStore(),
                index: .init(),
                router: MemoryRouter(),
                readiness: { .ready("") },
                stalls: { [] },
                telemetry: Telemetry(
                    factory: TestNode.noMetrics,
                    labels: RegistryLabels(configured: nil),
                    logger: logger
                )
            )
            let channel = EmbeddedChannel()
            channel.remoteAddress = try SocketAddress(ipAddress: address, port: 999)
            let loop = RegistryLoop(eventLoop: channel.eventLoop, configuration, services.telemetry)
            try channel.pipeline.syncOperations.addHandler(RegistryServer.makeConnection(services, loop))
            channel.pipeline.fireChannelActive()
            var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: "/v2/", headers: headers)
            head.headers.add(name: "Host", value: "x")
            try channel.writeInbound(HTTPServerRequestPart.head(head))
            try channel.writeInbound(HTTPServerRequestPart.end(nil))
            guard case .head(let answer)? = try channel.readOutbound(as: HTTPServerResponsePart.self) else {
                throw RawClient.Failure(what: "no head")
            }
            _ = try? channel.finish(acceptAlreadyClosed: true)
            let refusals = services.telemetry.metrics.snapshot.refusals.filter { $0.value > 0 }
            return (answer.status.code, refusals)
        }

        private func proof(_ key: ContentKey, skew: Int64 = 0) -> HTTPHeaders {
            let request = ProvenRequest(method: "GET", target: "/v2/", range: nil, wantsCheck: false, holder: "holder")
            let time = Int64(RegistryServer.wallClock) + skew
            let proof = RequestProof(of: request, by: "node", with: key, time: time, nonce: 1)
            return ["X-Spegel-Mirrored": "true", "X-Spegel-Proof": proof.headerValue]
        }

        @Test func rightsWithClusterKey() throws {
            let ring = try ring(1, 2)
            let own = try IPAddress("10.0.0.1")
            let withKey: (inout RegistryConfiguration) -> Void = {
                $0.membership = ring
                $0.access = ClientAccess(ranges: [IPRange("192.0.2.0/24")].compactMap { $0 }) { $0 == own }
            }
            for address in ["127.0.0.1", "10.0.0.1", "192.0.2.7"] {
                #expect(try answer([:], from: address, withKey).status == 200, "\(address)")
                // A node on the same machine is not its containerd.
                let claimed = try answer(["X-Spegel-Mirrored": "true"], from: address, withKey)
                #expect(claimed.status == 403 && claimed.refusals == [.proof: 1])
            }
            let stranger = try answer([:], from: "198.51.100.1", withKey)
            #expect(stranger.status == 403 && stranger.refusals == [.address: 1])
            for key in ring.keys.all {
                for skew in [-25, 0, 25] as [Int64] {
                    let member = try answer(proof(key.content, skew: skew), from: "198.51.100.1", withKey)
                    #expect(member.status == 200 && member.refusals.isEmpty)
                }
            }
            let late = try answer(proof(ring.keys.current.content, skew: -40), from: "127.0.0.1", withKey)
            #expect(late.status == 403 && late.refusals == [.expired: 1])
            let strange = try self.ring(3).keys.current.content
            let other = try answer(proof(strange), from: "127.0.0.1", withKey)
            #expect(other.status == 403 && other.refusals == [.proof: 1])
        }

        @Test func rightsWithClusterKeyAndPassword() throws {
            let ring = try ring(1)
            let authentication = try password("right")
            let withBoth: (inout RegistryConfiguration) -> Void = {
                $0.membership = ring
                $0.authentication = authentication
            }
            let right = try header("right").split(separator: " ", maxSplits: 1)[1]
            #expect(try answer(["Authorization": String(right)], from: "198.51.100.1", withBoth).status == 200)
            #expect(try answer([:], from: "127.0.0.1", withBoth).refusals == [.credentials: 1])
            #expect(try answer(proof(ring.keys.current.content), from: "198.51.100.1", withBoth).status == 200)
            let byPassword = try answer(proof(authentication.proofKeys.sent), from: "198.51.100.1", withBoth)
            #expect(byPassword.refusals == [.proof: 1], "nodes prove the cluster key")
        }

        @Test func rightsWithPasswordAndRanges() throws {
            let authentication = try password("right")
            let restricted: (inout RegistryConfiguration) -> Void = {
                $0.authentication = authentication
                $0.access = ClientAccess(ranges: [IPRange("192.0.2.0/24")].compactMap { $0 })
            }
            let proof = proof(authentication.proofKeys.sent)
            #expect(try answer(proof, from: "192.0.2.1", restricted).status == 200)
            #expect(try answer(proof, from: "198.51.100.1", restricted).refusals == [.address: 1])
            let wrong = try self.proof(password("wrong").proofKeys.sent)
            #expect(try answer(wrong, from: "192.0.2.1", restricted).refusals == [.proof: 1])
        }

        /// Without a key nothing has changed: a proof means nothing, and none is sent.
        @Test func withoutSecretNothingIsProven() async throws {
            let (peer, provider) = try await ScriptedPeer.start { _ in
                [.send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")]
            }
            let (mirror, _) = try await node("mirror") { _ in }
            mirror.router.setProviders([provider], of: Self.tag)
            _ = try await fetch(mirror.address, Self.tagPath)
            #expect(self.field("x-spegel-proof", of: try #require(peer.requests.first)) == nil)
            #expect(try answer(["X-Spegel-Proof": "x"], from: "198.51.100.1") { _ in }.status == 200)
            await mirror.server.shutdown()
            try await peer.stop()
        }
    }
}
