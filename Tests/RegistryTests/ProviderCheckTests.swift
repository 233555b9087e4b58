import ContentStore
import Glibc
import NIOCore
import OCI
import Routing
import RoutingTestSupport
import TestSupport
import Testing

@testable import Registry

extension LoopbackTests {
    /// What a node does with files of its own that are not what their digests say.
    @Suite(.serialized, .timeLimit(.minutes(2))) struct ProviderCheckTests {
        private func makeHolder(
            checkedSize: Int64 = 1 << 20,
            configure: (inout RegistryConfiguration) -> Void = { _ in }
        ) async throws -> TestNode {
            try await TestNode(host: "127.0.0.2", checksFiles: true) {
                $0.checks.checkedSize = checkedSize
                // The machine that runs the tests may be busy.
                $0.checks.checkTimeout = .seconds(9)
                $0.checks.tailTimeout = .seconds(9)
                configure(&$0)
            }
        }

        /// Content of which one bit is wrong on the disk.
        private func addCorrupt(_ size: Int, to node: TestNode) throws -> (bytes: [UInt8], digest: Digest) {
            let (bytes, digest) = try makeContent(size)
            var wrong = bytes
            wrong[size / 3] ^= 4
            node.store.add(wrong, as: digest)
            return (bytes, digest)
        }

        @Test(arguments: [1000, 400_000, 4 << 20])
        func soundFilesAreServedAndCheckedOnce(size: Int) async throws {
            let node = try await makeHolder()
            let (bytes, digest) = try makeContent(size)
            node.store.add(bytes, as: digest)
            for _ in 0..<3 {
                let answer = try await fetch(node.address, "/v2/a/blobs/\(digest)")
                #expect(answer.status == 200 && answer.body == bytes)
            }
            let part = try await fetch(node.address, "/v2/a/blobs/\(digest)", headers: ["Range: bytes=9-99"])
            #expect(part.status == 206 && part.body == Array(bytes[9..<100]))
            #expect(try await TestNode.settle { node.checks?.counts.sound == 1 })
            await node.server.shutdown()
        }

        @Test(arguments: [1000, 400_000])
        func smallCorruptFileIsNotSent(size: Int) async throws {
            let node = try await makeHolder()
            let digest = try addCorrupt(size, to: node).digest
            for _ in 0..<2 { #expect(try await fetch(node.address, "/v2/a/blobs/\(digest)").status == 404) }
            #expect(node.checks?.counts.corrupt == 1 && node.checks?.faultCount == 1)
            await node.server.shutdown()
        }

        @Test func largeCorruptFileIsCutShort() async throws {
            let node = try await makeHolder()
            let (bytes, digest) = try addCorrupt(8 << 20, to: node)
            let first = try await fetch(node.address, "/v2/a/blobs/\(digest)")
            #expect(first.status == 200 && !first.isWhole && first.body.count < bytes.count)
            #expect(try await TestNode.settle { node.server.metrics.outcomes[.cutShort] == 1 })
            #expect(try await fetch(node.address, "/v2/a/blobs/\(digest)").status == 404)
            // Put right, it is served again.
            unlink(node.store.path(digest))
            node.store.add(bytes, as: digest)
            #expect(try await fetch(node.address, "/v2/a/blobs/\(digest)").body == bytes)
            #expect(node.checks?.faultCount == 0)
            await node.server.shutdown()
        }

        @Test func shutdownEndsTransfersTogether() async throws {
            let node = try await makeHolder()
            let digest = try addCorrupt(32 << 20, to: node).digest
            let clients = try (0..<4).map { _ in try RawClient(node.address, receiveBuffer: 64 << 10) }
            for client in clients { try client.send("GET /v2/a/blobs/\(digest) HTTP/1.1\r\nHost: x\r\n\r\n") }
            #expect(try await TestNode.settle { node.checks?.counts.corrupt == 1 })
            for client in clients {
                // A reset would make the read fail instead of ending it.
                let answer = try await blocking { try client.response() }
                #expect(answer?.status == 200 && answer?.isWhole == false)
            }
            await node.server.shutdown()
        }

        @Test func refusesFileOfUnexpectedSize() async throws {
            let node = try await makeHolder()
            let (bytes, digest) = try makeContent(4 << 20)
            node.store.add(Array(bytes.dropLast(1000)), as: digest)
            node.index.insert(digest, size: Int64(bytes.count), mediaType: nil)
            #expect(try await fetch(node.address, "/v2/a/blobs/\(digest)").status == 404)
            #expect(try await TestNode.settle { node.checks?.faultCount == 1 })
            await node.server.shutdown()
        }

        @Test func staleIndexIsCorrected() async throws {
            let node = try await makeHolder()
            let (bytes, digest) = try makeContent(300_000)
            node.store.add(bytes, as: digest)
            node.index.insert(digest, size: 5, mediaType: nil)
            _ = try await fetch(node.address, "/v2/a/blobs/\(digest)")
            #expect(try await TestNode.settle { node.index.entry(digest)?.size == 300_000 })
            #expect(try await fetch(node.address, "/v2/a/blobs/\(digest)").body == bytes)
            await node.server.shutdown()
        }

        @Test func refusesCorruptContentToOwnClient() async throws {
            let node = try await makeHolder()
            let other = try await TestNode(host: "127.0.0.4")
            let (bytes, digest) = try addCorrupt(400_000, to: node)
            other.store.add(bytes, as: digest)
            node.index.insert(digest, size: 400_000, mediaType: nil)
            node.router.setProviders([other.provider], of: digest.text)
            for _ in 0..<2 { #expect(try await fetch(node.address, "/v2/a/blobs/\(digest)").body == bytes) }
            await node.server.shutdown()
            await other.server.shutdown()
        }

        @Test(arguments: [false, true])
        func demandedCheckPrecedesFile(isCorrupt: Bool) async throws {
            let node = try await makeHolder()
            let (bytes, digest) = try makeContent(8 << 20)
            node.store.add(bytes, as: digest)
            if isCorrupt { _ = try addCorrupt(8 << 20, to: node) }
            let headers = ["X-Spegel-Mirrored: true", "X-Spegel-Check: true", "Range: bytes=5-"]
            let answer = try await fetch(node.address, "/v2/a/blobs/\(digest)", headers: headers)
            #expect(answer.status == (isCorrupt ? 404 : 206))
            #expect(answer.headers["x-spegel-checked"] == (isCorrupt ? nil : "true"))
            if !isCorrupt { #expect(answer.body == Array(bytes.dropFirst(5))) }
            // Clients that are no nodes cannot have it done.
            let plain = try await fetch(node.address, "/v2/a/blobs/\(digest)", headers: Array(headers.dropFirst()))
            #expect(plain.headers["x-spegel-checked"] == nil)
            await node.server.shutdown()
        }

        @Test func fileDeletedWhileSentIsSentWhole() async throws {
            let node = try await makeHolder()
            let (bytes, digest) = try makeContent(32 << 20)
            node.store.add(bytes, as: digest)
            let client = try RawClient(node.address, receiveBuffer: 64 << 10)
            try client.send("GET /v2/a/blobs/\(digest) HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(try await TestNode.settle { node.server.metrics.requestsInFlight == 1 })
            unlink(node.store.path(digest))
            let answer = try await blocking { try client.response() }
            #expect(answer?.body == bytes)
            #expect(try await fetch(node.address, "/v2/a/blobs/\(digest)").status == 404)
            await node.server.shutdown()
        }

        @Test func fileTruncatedWhileSentIsNotServedAgain() async throws {
            let node = try await makeHolder()
            let (bytes, digest) = try makeContent(32 << 20)
            node.store.add(bytes, as: digest)
            let client = try RawClient(node.address, receiveBuffer: 64 << 10)
            try client.send("GET /v2/a/blobs/\(digest) HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(try await TestNode.settle { node.checks?.counts.sound == 1 })
            truncate(node.store.path(digest), 1 << 20)
            let answer = try await blocking { try client.response() }
            #expect(answer?.status == 200 && answer?.isWhole == false)
            #expect(try await TestNode.settle { node.checks?.faultCount == 1 })
            #expect(try await fetch(node.address, "/v2/a/blobs/\(digest)").status == 404)
            await node.server.shutdown()
        }

        @Test func tailIsSentAfterTimeout() async throws {
            let node = try await makeHolder { $0.checks.tailTimeout = .zero }
            let (bytes, digest) = try makeContent(8 << 20)
            node.store.add(bytes, as: digest)
            #expect(try await fetch(node.address, "/v2/a/blobs/\(digest)").body == bytes)
            await node.server.shutdown()
        }

        // MARK: Content that is not within reach as files

        private func makeReader(
            _ bytes: [UInt8],
            as digest: Digest,
            configure: (inout RegistryConfiguration) -> Void = { _ in }
        ) async throws -> TestNode {
            let node = try await TestNode(host: "127.0.0.2", readersOnly: true, checksFiles: true) {
                $0.checks.checkedSize = 1 << 20
                $0.checks.checkTimeout = .seconds(9)
                $0.checks.tailTimeout = .seconds(9)
                configure(&$0)
            }
            node.store.add(bytes, as: digest)
            node.index.insert(digest, size: Int64(bytes.count), mediaType: nil)
            return node
        }

        private func spoilt(_ bytes: [UInt8]) -> [UInt8] {
            var wrong = bytes
            wrong[bytes.count / 3] ^= 4
            return wrong
        }

        @Test(arguments: [1000, 400_000, 4 << 20])
        func soundContentIsReadAndCheckedOnce(size: Int) async throws {
            let (bytes, digest) = try makeContent(size)
            let node = try await makeReader(bytes, as: digest)
            for _ in 0..<3 {
                let answer = try await fetch(node.address, "/v2/a/blobs/\(digest)")
                #expect(answer.status == 200 && answer.body == bytes)
            }
            let part = try await fetch(node.address, "/v2/a/blobs/\(digest)", headers: ["Range: bytes=9-99"])
            #expect(part.status == 206 && part.body == Array(bytes[9..<100]))
            #expect(node.checks?.counts.sound == 1)
            await node.server.shutdown()
        }

        @Test(arguments: [1000, 400_000])
        func smallCorruptContentIsNeverSent(size: Int) async throws {
            let (bytes, digest) = try makeContent(size)
            let node = try await makeReader(spoilt(bytes), as: digest)
            for _ in 0..<2 { #expect(try await fetch(node.address, "/v2/a/blobs/\(digest)").status == 404) }
            #expect(node.checks?.counts.corrupt == 1 && node.checks?.faultCount == 1)
            await node.server.shutdown()
        }

        @Test func largeCorruptContentIsNotSentToItsEnd() async throws {
            let (bytes, digest) = try makeContent(4 << 20)
            let node = try await makeReader(spoilt(bytes), as: digest)
            let first = try await fetch(node.address, "/v2/a/blobs/\(digest)")
            #expect(first.status == 200 && !first.isWhole && first.body.count < bytes.count)
            #expect(node.checks?.faultCount == 1)
            #expect(try await fetch(node.address, "/v2/a/blobs/\(digest)").status == 404)
            // Put right, it is served again, as soon as it is known to be held.
            unlink(node.store.path(digest))
            node.store.add(bytes, as: digest)
            node.index.insert(digest, size: Int64(bytes.count), mediaType: nil)
            #expect(try await fetch(node.address, "/v2/a/blobs/\(digest)").body == bytes)
            #expect(node.checks?.faultCount == 0)
            await node.server.shutdown()
        }

        @Test(arguments: [false, true])
        func verifiesContentBesideRequestedPart(isCorrupt: Bool) async throws {
            let (bytes, digest) = try makeContent(4 << 20)
            let node = try await makeReader(isCorrupt ? spoilt(bytes) : bytes, as: digest)
            let part = try await fetch(node.address, "/v2/a/blobs/\(digest)", headers: ["Range: bytes=3000000-"])
            if isCorrupt {
                #expect(!(part.status == 206 && part.isWhole))
                #expect(node.checks?.faultCount == 1)
                #expect(try await fetch(node.address, "/v2/a/blobs/\(digest)").status == 404)
            } else {
                #expect(part.status == 206 && part.body == Array(bytes.dropFirst(3_000_000)))
                #expect(node.checks?.counts.sound == 1)
            }
            await node.server.shutdown()
        }

        @Test(arguments: [false, true])
        func demandedCheckPrecedesReader(isCorrupt: Bool) async throws {
            let (bytes, digest) = try makeContent(4 << 20)
            let node = try await makeReader(isCorrupt ? spoilt(bytes) : bytes, as: digest)
            let headers = ["X-Spegel-Mirrored: true", "X-Spegel-Check: true", "Range: bytes=5-"]
            let answer = try await fetch(node.address, "/v2/a/blobs/\(digest)", headers: headers)
            #expect(answer.status == (isCorrupt ? 404 : 206))
            #expect(answer.headers["x-spegel-checked"] == (isCorrupt ? nil : "true"))
            if !isCorrupt { #expect(answer.body == Array(bytes.dropFirst(5))) }
            let plain = try await fetch(node.address, "/v2/a/blobs/\(digest)", headers: Array(headers.dropFirst()))
            #expect(plain.headers["x-spegel-checked"] == nil)
            await node.server.shutdown()
        }

        @Test func slowDemandedCheckIs503() async throws {
            let (bytes, digest) = try makeContent(4 << 20)
            let node = try await makeReader(bytes, as: digest) { $0.checks.demandedCheckTimeout = .zero }
            let headers = ["X-Spegel-Mirrored: true", "X-Spegel-Check: true"]
            #expect(try await fetch(node.address, "/v2/a/blobs/\(digest)", headers: headers).status == 503)
            await node.server.shutdown()
        }
    }
}
