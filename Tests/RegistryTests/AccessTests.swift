import ContentStore
import Glibc
import Logging
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
    /// Who gets content and who does not.
    @Suite(.serialized, .timeLimit(.minutes(2))) struct AccessTests {
        private let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

        private func authentication(_ password: String) throws -> BasicAuthentication {
            let secret = SecretFolder()
            try secret.set(["username": "node", "password": password])
            return try BasicAuthentication(folder: CredentialFolder(secret.path), logger: logger)
        }

        private func header(_ password: String) throws -> String {
            let credentials = try #require(Credentials(username: Array("node".utf8), password: Array(password.utf8)))
            return "Authorization: \(credentials.header)"
        }

        @Test func contentNeedsCredentialsAndHealthDoesNot() async throws {
            let authentication = try authentication("right")
            let node = try await TestNode { $0.authentication = authentication }
            let (bytes, digest) = try makeContent(1000)
            node.store.add(bytes, as: digest)
            for path in ["/v2/", "/v2", "/v2/a/blobs/\(digest)", "/v2/a/blobs/sha256:0"] {
                for headers in [[], [try header("wrong")], ["Authorization: Bearer abc"]] {
                    let answer = try await fetch(node.address, path, headers: headers)
                    #expect(answer.status == 401 && answer.text.contains("UNAUTHORIZED"))
                    #expect(answer.headers["www-authenticate"]?.hasPrefix("Basic realm=") == true)
                    #expect(answer.headers["connection"] == "close")
                }
            }
            let head = try await fetch(node.address, "/v2/a/blobs/\(digest)", method: "HEAD")
            #expect(head.status == 401)
            #expect(node.server.metrics.refusals[.credentials] == 13)
            for path in ["/readyz", "/livez"] { #expect(try await fetch(node.address, path).status == 200) }
            let answer = try await fetch(node.address, "/v2/a/blobs/\(digest)", headers: [header("right")])
            #expect(answer.status == 200 && answer.body == bytes)
            #expect(try await fetch(node.address, "/v2/", headers: [header("right")]).status == 200)
            await node.server.shutdown()
        }

        /// As nodes of Spegel in Go do.
        @Test func nodesShowEachOtherTheirCredentials() async throws {
            let (right, wrong) = (try authentication("right"), try authentication("wrong"))
            let mirror = try await TestNode {
                $0.authentication = right
                $0.sendsPassword = true
            }
            let stranger = try await TestNode(host: "127.0.0.2") { $0.authentication = wrong }
            let holder = try await TestNode(host: "127.0.0.3") { $0.authentication = right }
            let (bytes, digest) = try makeContent(100_000)
            for node in [stranger, holder] { node.store.add(bytes, as: digest) }
            mirror.router.setProviders([stranger.provider], of: digest.text)
            let refused = try await fetch(mirror.address, "/v2/a/blobs/\(digest)", headers: [header("right")])
            #expect(refused.status == 404 && stranger.server.metrics.refusals[.credentials] == 1)
            mirror.router.setProviders([stranger.provider, holder.provider], of: digest.text)
            let answer = try await fetch(mirror.address, "/v2/a/blobs/\(digest)", headers: [header("right")])
            #expect(answer.status == 200 && answer.body == bytes)
            #expect(holder.server.metrics.refusals[.credentials] == 0)
            for node in [mirror, stranger, holder] { await node.server.shutdown() }
        }

        @Test func withoutCredentialsNoAuthorizationIsSent() async throws {
            let (peer, provider) = try await ScriptedPeer.start { _ in
                [.send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")]
            }
            let mirror = try await TestNode()
            let (_, digest) = try makeContent(1)
            mirror.router.setProviders([provider], of: digest.text)
            _ = try await fetch(mirror.address, "/v2/a/blobs/\(digest)", headers: [header("own")])
            #expect(peer.requests.count == 1 && !peer.requests[0].lowercased().contains("authorization"))
            await mirror.server.shutdown()
            try await peer.stop()
        }

        @Test func rangesLoopbackAndKnownAddressesAreAllowed() throws {
            let known = try IPAddress("10.0.0.1")
            let access = ClientAccess(ranges: ["192.0.2.0/24", "2001:db8::/32"].compactMap { IPRange($0) }) {
                $0 == known
            }
            for text in [
                "192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1", "127.0.0.1", "::1", "::ffff:127.0.0.9", "10.0.0.1",
                "::ffff:10.0.0.1",
            ] {
                #expect(access.allows(try IPAddress(text)), "\(text)")
                #expect(access.allows(try SocketAddress(ipAddress: text, port: 1)), "\(text)")
            }
            for text in ["192.0.3.7", "2001:db9::1", "10.0.0.2", "::ffff:10.0.0.2", "::192.0.2.7"] {
                #expect(!access.allows(try IPAddress(text)), "\(text)")
                #expect(!access.allows(try SocketAddress(ipAddress: text, port: 1)), "\(text)")
            }
            #expect(!access.allows(nil as SocketAddress?))
            #expect(!access.allows(try SocketAddress(unixDomainSocketPath: "/x")))
        }

        /// The answer to one request of a client at an address.
        private func answer(_ path: String, from address: String, _ access: ClientAccess?) throws -> HTTPResponseHead {
            var configuration = RegistryConfiguration(host: "", port: 0)
            configuration.access = access
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
            let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: path, headers: ["Host": "x"])
            try channel.writeInbound(HTTPServerRequestPart.head(head))
            try channel.writeInbound(HTTPServerRequestPart.end(nil))
            guard case .head(let answer)? = try channel.readOutbound(as: HTTPServerResponsePart.self) else {
                throw RawClient.Failure(what: "no head")
            }
            #expect((services.telemetry.metrics.snapshot.refusals[.address] == 1) == (answer.status == .forbidden))
            _ = try? channel.finish(acceptAlreadyClosed: true)
            return answer
        }

        @Test func clientsOutsideTheRangesGet403() throws {
            let access = ClientAccess(ranges: [try #require(IPRange("192.0.2.0/24"))])
            let refused = try answer("/v2/", from: "198.51.100.1", access)
            #expect(refused.status == .forbidden && refused.headers["Content-Type"] == ["application/json"])
            #expect(refused.headers["Connection"] == ["close"])
            #expect(try answer("/v2/a/blobs/sha256:0", from: "2001:db8::1", access).status == .forbidden)
            #expect(try answer("/readyz", from: "198.51.100.1", access).status == .ok)
            #expect(try answer("/v2/", from: "192.0.2.9", access).status == .ok)
            #expect(try answer("/v2/", from: "::ffff:192.0.2.9", access).status == .ok)
            #expect(try answer("/v2/", from: "198.51.100.1", nil).status == .ok)
        }

        @Test func unreadableContentIsNotMissing() async throws {
            let node = try await TestNode()
            let (bytes, digest) = try makeContent(1000)
            node.store.add(bytes, as: digest)
            // A link that leads to itself stands for any error of the system.
            unlink(node.store.path(digest))
            #expect(symlink(node.store.path(digest), node.store.path(digest)) == 0)
            let path = "/v2/a/blobs/\(digest)"
            let answer = try await fetch(node.address, path, headers: ["X-Spegel-Mirrored: true"])
            #expect(answer.status == 503 && answer.headers["retry-after"] == "1")
            // A client may get it elsewhere.
            #expect(try await fetch(node.address, path).status == 404)
            await node.server.shutdown()
        }

        @Test func acceptingGoesOnAfterDescriptorsRanOut() async throws {
            let node = try await TestNode()
            var limit = rlimit()
            #expect(getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0)
            let request = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
            // One that was accepted before.
            let early = try RawClient(node.address)
            try early.send(request)
            #expect(try early.response()?.status == 200)
            // The runtime opens what its timers need when it is first asked to sleep, and cannot do without.
            try await Task.sleep(for: .milliseconds(1))
            let waiting = try RawClient.unconnected()
            var lowered = limit
            lowered.rlim_cur = min(limit.rlim_cur, 256 + UInt(waiting.descriptor))
            #expect(setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &lowered) == 0)
            var fillers: [Int32] = []
            while case let filler = dup(waiting.descriptor), filler >= 0 { fillers.append(filler) }
            var answer: RawResponse?
            do {
                defer {
                    for filler in fillers { close(filler) }
                    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
                }
                try waiting.connect(to: node.address)
                #expect(try await TestNode.settle { node.server.metrics.acceptFailures > 0 })
                try await Task.sleep(for: .milliseconds(300))
                // It paused between the attempts, rather than spinning; and who is connected is answered.
                #expect(node.server.metrics.acceptFailures < 20)
                try early.send(request)
                answer = try early.response()
            }
            #expect(answer?.status == 200)
            // The connection that waited is accepted.
            try waiting.send(request)
            #expect(try waiting.response()?.status == 200)
            await node.server.shutdown()
        }
    }
}
