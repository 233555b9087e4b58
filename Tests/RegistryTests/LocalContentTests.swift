import ContentStore
import Glibc
import Logging
import NIOCore
import NIOEmbedded
import NIOHTTP1
import OCI
import Routing
import RoutingTestSupport
import Synchronization
import TestSupport
import Testing

@testable import Registry

/// Tests with real sockets run one after the other, since some of them count descriptors.
@Suite(.serialized) enum LoopbackTests {}

extension LoopbackTests {
    /// What a node answers from its own content, and to wrong requests.
    @Suite(.serialized, .timeLimit(.minutes(2))) struct LocalContentTests {
        @Test func servesBlobsWholeAndInPart() async throws {
            let node = try await TestNode()
            let (bytes, digest) = try makeContent(300_000)
            node.store.add(bytes, as: digest)
            let path = "/v2/library/test/blobs/\(digest)"

            let whole = try await fetch(node.address, path)
            #expect(whole.status == 200 && whole.body == bytes)
            #expect(whole.headers["content-type"] == "application/octet-stream")
            #expect(whole.headers["docker-content-digest"] == digest.text)
            #expect(whole.headers["accept-ranges"] == "bytes")

            let head = try await fetch(node.address, path, method: "HEAD")
            #expect(head.status == 200 && head.headers["content-length"] == "300000")

            let part = try await fetch(node.address, path, headers: ["Range: bytes=1000-1999"])
            #expect(part.status == 206 && part.body == Array(bytes[1000..<2000]))
            #expect(part.headers["content-range"] == "bytes 1000-1999/300000")

            let suffix = try await fetch(node.address, path, headers: ["Range: bytes=-10"])
            #expect(suffix.status == 206 && suffix.body == Array(bytes.suffix(10)))

            let outside = try await fetch(node.address, path, headers: ["Range: bytes=300000-"])
            #expect(outside.status == 416 && outside.headers["content-range"] == "bytes */300000")
            #expect(outside.text.contains("RANGE_INVALID"))
            await node.server.shutdown()
            #expect(node.server.metrics.outcomes[.local] == 4)
        }

        /// One write, and one packet for the client.
        @Test(arguments: [(1000, true), (16 << 10, true), ((16 << 10) + 1, false)])
        func smallFilesLeaveTogetherWithTheirHeads(size: Int, isSmall: Bool) throws {
            let store = TestStore()
            let (bytes, digest) = try makeContent(size)
            store.add(bytes, as: digest)
            let configuration = RegistryConfiguration(host: "", port: 0)
            let services = RegistryServices(
                configuration: configuration,
                store: store,
                index: ContentIndex(),
                router: MemoryRouter(),
                readiness: { .ready("") },
                stalls: { [] },
                telemetry: Telemetry(
                    factory: TestNode.noMetrics,
                    labels: RegistryLabels(configured: nil),
                    logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
                )
            )
            let channel = EmbeddedChannel()
            let loop = RegistryLoop(eventLoop: channel.eventLoop, configuration, services.telemetry)
            try channel.pipeline.syncOperations.addHandler(RegistryServer.makeConnection(services, loop))
            channel.pipeline.fireChannelActive()
            let uri = "/v2/a/blobs/\(digest)"
            let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: uri, headers: ["Host": "x"])
            try channel.writeInbound(HTTPServerRequestPart.head(head))
            try channel.writeInbound(HTTPServerRequestPart.end(nil))
            _ = try channel.readOutbound(as: HTTPServerResponsePart.self)
            switch try channel.readOutbound(as: HTTPServerResponsePart.self) {
            case .body(.byteBuffer(let body)): #expect(isSmall && Array(body.readableBytesView) == bytes)
            case .body(.fileRegion(let region)): #expect(!isSmall && region.readableBytes == size)
            default: Issue.record("no body")
            }
            _ = try? channel.finish(acceptAlreadyClosed: true)
        }

        @Test(arguments: [false, true])
        func servesManifestsByTagAndDigest(readersOnly: Bool) async throws {
            let node = try await TestNode(readersOnly: readersOnly)
            let (_, digest) = try makeContent(0)
            let json = Array(#"{"schemaVersion":2,"layers":[]}"#.utf8)
            node.store.add(json, as: digest)
            node.index.insert(digest, size: Int64(json.count), mediaType: nil)
            let target = Descriptor(mediaType: .ociManifest, digest: digest, size: Int64(json.count))
            node.index.setTag("docker.io/library/test:1", to: target)

            for path in ["/v2/library/test/manifests/1?ns=docker.io", "/v2/library/test/manifests/\(digest)"] {
                let answer = try await fetch(node.address, path)
                #expect(answer.status == 200 && answer.body == json)
                #expect(answer.headers["content-type"] == MediaType.ociManifest.text)
                #expect(answer.headers["docker-content-digest"] == digest.text)
                let head = try await fetch(node.address, path, method: "HEAD")
                #expect(head.status == 200 && head.headers["content-length"] == "\(json.count)")
            }
            let withoutRegistry = try await fetch(node.address, "/v2/library/test/manifests/1")
            #expect(withoutRegistry.status == 404 && withoutRegistry.text.contains("MANIFEST_UNKNOWN"))
            await node.server.shutdown()
        }

        @Test(arguments: [false, true])
        func withholdsContentByItsDigestHoweverItIsNamed(readersOnly: Bool) async throws {
            let node = try await TestNode(readersOnly: readersOnly)
            let (bytes, shared) = try makeContent(1000)
            let secret = digestOf(Array(bytes.dropFirst()))
            node.store.add(bytes, as: shared)
            node.store.add(Array(bytes.dropFirst()), as: secret)
            for digest in [shared, secret] { node.index.insert(digest, size: 1000, mediaType: .ociManifest) }
            node.index.share(only: [shared.text])
            for kind in ["manifests", "blobs"] {
                for name in ["secret/db", "library/alpine"] {
                    for query in ["", "?ns=registry.corp", "?ns=docker.io"] {
                        for headers in [
                            [], ["X-Spegel-Mirrored: true"], ["Range: bytes=0-"], ["If-None-Match: \"\(secret)\""],
                        ] {
                            let path = "/v2/\(name)/\(kind)/\(secret)\(query)"
                            let answer = try await fetch(node.address, path, headers: headers)
                            #expect(answer.status == 404, "\(path) \(headers)")
                            #expect(try await fetch(node.address, path, method: "HEAD", headers: headers).status == 404)
                        }
                    }
                }
            }
            #expect(try await fetch(node.address, "/v2/a/blobs/\(shared)").body == bytes)
            node.index.share([secret.text], andWithhold: [shared.text])
            #expect(try await fetch(node.address, "/v2/a/blobs/\(shared)").status == 404)
            #expect(try await fetch(node.address, "/v2/a/blobs/\(secret)").body == Array(bytes.dropFirst()))
            await node.server.shutdown()
        }

        @Test func streamsFromAReader() async throws {
            let node = try await TestNode(readersOnly: true)
            let (bytes, digest) = try makeContent(1_000_000)
            node.store.add(bytes, as: digest)
            // What the index does not know is not asked of such a store.
            #expect(try await fetch(node.address, "/v2/a/blobs/\(digest)").status == 404)
            node.index.insert(digest, size: 1_000_000, mediaType: nil)
            #expect(try await fetch(node.address, "/v2/a/blobs/\(digest)").body == bytes)
            let part = try await fetch(node.address, "/v2/a/blobs/\(digest)", headers: ["Range: bytes=5-"])
            #expect(part.status == 206 && part.body == Array(bytes.dropFirst(5)))
            await node.server.shutdown()
        }

        @Test func forgetsRemovedContent() async throws {
            let node = try await TestNode()
            let (_, digest) = try makeContent(0)
            node.index.insert(digest, size: 10, mediaType: nil)
            #expect(try await fetch(node.address, "/v2/a/blobs/\(digest)").status == 404)
            #expect(node.index.entry(digest) == nil)
            await node.server.shutdown()
        }

        @Test func answersForItself() async throws {
            let node = try await TestNode(readiness: .notReady("no peers"))
            let base = try await fetch(node.address, "/v2/")
            #expect(base.status == 200 && base.headers["docker-distribution-api-version"] == "registry/2.0")
            #expect(try await fetch(node.address, "/livez").status == 200)
            let ready = try await fetch(node.address, "/readyz")
            #expect(ready.status == 503 && ready.text.contains("no peers"))
            await node.server.shutdown()
        }

        @Test(arguments: [
            ("GET", "/", 404, ""), ("GET", "/v2/a/tags/list", 404, ""),
            ("POST", "/v2/a/blobs/uploads/", 405, "UNSUPPORTED"), ("DELETE", "/v2/", 405, "UNSUPPORTED"),
            ("GET", "/v2/A/manifests/1", 400, "NAME_INVALID"), ("GET", "/v2/a/blobs/sha256:x", 400, "DIGEST_INVALID"),
            ("POST", "/livez", 405, ""),
        ])
        func refusesWrongRequests(method: String, path: String, status: Int, code: String) async throws {
            let node = try await TestNode()
            let answer = try await fetch(node.address, path, method: method)
            #expect(answer.status == status && answer.text.contains(code))
            #expect(answer.headers["allow"] == (status == 405 ? "GET, HEAD" : nil))
            await node.server.shutdown()
        }

        @Test func refusesLongAndMalformedRequests() async throws {
            let node = try await TestNode()
            let long = String(repeating: "a", count: 5000)
            #expect(try await fetch(node.address, "/v2/\(long)/manifests/1").status == 414)
            let many = (0..<200).map { "X-\($0): 1" }
            #expect(try await fetch(node.address, "/v2/", headers: many).status == 431)
            let malformed = try await blocking {
                let client = try RawClient(node.address)
                try client.send("this is no request\r\n\r\n")
                let answer = try client.response()
                return (answer, try client.read(upTo: 1).isEmpty)
            }
            #expect(malformed.0?.status == 400 && malformed.1)
            await node.server.shutdown()
        }

        @Test func keepsConnectionsAliveAndAnswersInOrder() async throws {
            let node = try await TestNode()
            let (bytes, digest) = try makeContent(200_000)
            node.store.add(bytes, as: digest)
            let requests =
                "GET /v2/a/blobs/\(digest) HTTP/1.1\r\nHost: x\r\n\r\n"
                + "GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
                + "HEAD /v2/a/blobs/\(digest) HTTP/1.1\r\nHost: x\r\n\r\n"
                + "GET /v2/b/blobs/sha256:x HTTP/1.1\r\nHost: x\r\n\r\n"
            try await blocking {
                let client = try RawClient(node.address)
                for _ in 0..<20 { try client.send(requests) }
                for _ in 0..<20 {
                    #expect(try client.response()?.body == bytes)
                    #expect(try client.response()?.text == "alive\n")
                    #expect(try client.response(isHead: true)?.headers["content-length"] == "200000")
                    #expect(try client.response()?.status == 400)
                }
                try client.send("GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                #expect(try client.response()?.headers["connection"] == "close")
                #expect(try client.read(upTo: 1).isEmpty)
            }
            await node.server.shutdown()
        }

        @Test func meetsExpectations() async throws {
            let node = try await TestNode()
            try await blocking {
                let client = try RawClient(node.address)
                try client.send("GET /livez HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
                #expect(try client.response()?.status == 100)
                try client.send("ab")
                #expect(try client.response()?.status == 200)
            }
            await node.server.shutdown()
        }

        @Test func cutsShortWhenFileShrinks() async throws {
            let node = try await TestNode()
            let (bytes, digest) = try makeContent(32 << 20)
            node.store.add(bytes, as: digest)
            let whole = try await blocking {
                let client = try RawClient(node.address, receiveBuffer: 64 << 10)
                try client.send("GET /v2/a/blobs/\(digest) HTTP/1.1\r\nHost: x\r\n\r\n")
                _ = try client.read(upTo: 1000)
                truncate(node.store.path(digest), 1 << 20)
                var count = 0
                while case let next = try client.read(upTo: 1 << 20), !next.isEmpty { count += next.count }
                return count >= bytes.count
            }
            #expect(!whole)
            await node.server.shutdown()
        }

        @Test func closesSlowConnections() async throws {
            let node = try await TestNode { $0.clients.requestTimeout = .milliseconds(100) }
            let ended = try await blocking {
                let client = try RawClient(node.address)
                try client.send("GET /livez HTTP/1.1\r\nHo")
                return try client.read(upTo: 1).isEmpty
            }
            #expect(ended)
            await node.server.shutdown()
        }

        @Test func closesConnectionsThatAreNotUsed() async throws {
            let node = try await TestNode { $0.clients.idleTimeout = .milliseconds(100) }
            let ended = try await blocking {
                let client = try RawClient(node.address)
                try client.send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
                _ = try client.response()
                return try client.read(upTo: 1).isEmpty
            }
            #expect(ended)
            await node.server.shutdown()
        }

        @Test func closesConnectionsOfClientsThatTakeNothing() async throws {
            let node = try await TestNode { $0.clients.stallTimeout = .milliseconds(500) }
            let (bytes, digest) = try makeContent(32 << 20)
            node.store.add(bytes, as: digest)
            let client = try RawClient(node.address, receiveBuffer: 64 << 10)
            try client.send("GET /v2/a/blobs/\(digest) HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(try await TestNode.settle { node.server.metrics.requestsInFlight == 1 })
            #expect(try await TestNode.settle { node.server.metrics.openConnections == 0 })
            #expect(node.server.metrics.outcomes[.aborted] == 1)
            _ = try? client.read(upTo: 1)
            await node.server.shutdown()
        }

        @Test func failedReaderIsReplacedOrCutsShort() async throws {
            let node = try await TestNode(readersOnly: true)
            let peer = try await TestNode(host: "127.0.0.2")
            let (bytes, digest) = try makeContent(500_000)
            for one in [node, peer] { one.store.add(bytes, as: digest) }
            node.index.insert(digest, size: 500_000, mediaType: nil)
            node.router.setProviders([peer.provider], of: digest.text)
            node.store.readersFailAfter.withLock { $0 = 200_000 }
            let cut = try await fetch(node.address, "/v2/a/blobs/\(digest)")
            #expect(cut.status == 200 && !cut.isWhole && cut.body == Array(bytes.prefix(200_000)))
            node.store.readersFailAfter.withLock { $0 = 0 }
            let whole = try await fetch(node.address, "/v2/a/blobs/\(digest)")
            #expect(whole.status == 200 && whole.body == bytes)
            await node.server.shutdown()
            await peer.server.shutdown()
        }

        @Test func addressesThatCannotBeUsedAreNamed() async throws {
            let node = try await TestNode()
            let port = node.address.port ?? 0
            await #expect(throws: RegistryError.addressInUse("127.0.0.1:\(port)")) {
                _ = try await TestNode { $0.port = port }
            }
            await #expect(throws: RegistryError.addressNotAvailable("192.0.2.1:0")) {
                _ = try await TestNode(host: "192.0.2.1")
            }
            await node.server.shutdown()
        }

        @Test func randomBytesDoNoHarm() async throws {
            let node = try await TestNode()
            let seed = UInt64.random(in: 0...UInt64.max)
            var random = SeededGenerator(seed: seed)
            for _ in 0..<200 {
                var bytes = (0..<Int.random(in: 1...400, using: &random)).map { _ in
                    UInt8.random(in: 0...255, using: &random)
                }
                if Bool.random(using: &random) { bytes = Array("GET /v2/ HTTP/1.1\r\n".utf8) + bytes }
                let sent = bytes
                try await blocking { try? RawClient(node.address).send(sent) }
            }
            #expect(try await fetch(node.address, "/livez").status == 200, "seed \(seed)")
            #expect(try await TestNode.settle { node.server.metrics.openConnections == 0 }, "seed \(seed)")
            await node.server.shutdown()
        }
    }
}
