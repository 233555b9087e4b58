import ContentStore
import NIOCore
import OCI
import Routing
import RoutingTestSupport
import Testing

@testable import Registry

extension LoopbackTests {
    /// Content that is checked before it goes out, and peers that are slow, over real connections.
    @Suite(.serialized, .timeLimit(.minutes(2))) struct MirrorCheckTests {
        private func makeMirror(_ configure: (inout RegistryConfiguration) -> Void = { _ in }) async throws -> TestNode
        {
            try await TestNode {
                $0.checks.checkedSize = 1 << 20
                configure(&$0)
            }
        }

        /// A peer that sends other bytes than the digest says, as many as it should.
        private func startCorruptPeer(_ bytes: [UInt8]) async throws -> (peer: ScriptedPeer, provider: Provider) {
            var wrong = bytes
            wrong[wrong.count / 2] ^= 1
            let body = wrong
            return try await ScriptedPeer.start { _ in
                [.send("HTTP/1.1 200 OK\r\nContent-Length: \(body.count)\r\n\r\n"), .bytes(body)]
            }
        }

        @Test func fetchesFromNextPeerWhenCopyIsCorrupt() async throws {
            let mirror = try await makeMirror()
            let holder = try await TestNode(host: "127.0.0.2")
            let (bytes, digest) = try makeContent(700_000)
            holder.store.add(bytes, as: digest)
            let (bad, provider) = try await startCorruptPeer(bytes)
            mirror.router.setProviders([provider, holder.provider], of: digest.text)
            for _ in 0..<2 {
                let answer = try await fetch(mirror.address, "/v2/a/blobs/\(digest)")
                #expect(answer.status == 200 && answer.isWhole && answer.body == bytes)
            }
            // It is barred after the first time.
            #expect(bad.requests.count == 1)
            #expect(mirror.server.metrics.corruptAnswers == 1)
            await mirror.server.shutdown()
            await holder.server.shutdown()
            try await bad.stop()
        }

        @Test(arguments: ["text/html", "application/vnd.oci.image.manifest.v1+json"])
        func fetchesManifestOfWrongMediaTypeElsewhere(type: String) async throws {
            let mirror = try await makeMirror()
            let holder = try await TestNode(host: "127.0.0.2")
            let json = Array(#"{"schemaVersion":2,"mediaType":"\#(MediaType.ociIndex)","manifests":[]}"#.utf8)
            let digest = digestOf(json)
            holder.store.add(json, as: digest)
            holder.index.insert(digest, size: Int64(json.count), mediaType: .ociIndex)
            let (liar, provider) = try await ScriptedPeer.start { _ in
                let head = "HTTP/1.1 200 OK\r\nContent-Type: \(type)\r\nContent-Length: \(json.count)\r\n\r\n"
                return [.send(head), .bytes(json)]
            }
            mirror.router.setProviders([provider, holder.provider], of: digest.text)
            let answer = try await fetch(mirror.address, "/v2/a/manifests/\(digest)")
            #expect(answer.status == 200 && answer.body == json)
            #expect(answer.headers["content-type"] == MediaType.ociIndex.text)
            // Its bytes are right, so it is not barred.
            #expect(liar.requests.count == 1 && mirror.server.metrics.corruptAnswers == 0)
            await mirror.server.shutdown()
            await holder.server.shutdown()
            try await liar.stop()
        }

        @Test func corruptOnlyCopyIs404() async throws {
            let mirror = try await makeMirror()
            let (bytes, digest) = try makeContent(10_000)
            let (bad, provider) = try await startCorruptPeer(bytes)
            mirror.router.setProviders([provider], of: digest.text)
            for _ in 0..<2 {
                #expect(try await fetch(mirror.address, "/v2/a/blobs/\(digest)").status == 404)
            }
            #expect(bad.requests.count == 1)
            await mirror.server.shutdown()
            try await bad.stop()
        }

        @Test func fullBudgetHoldsEndOfCorruptContent() async throws {
            let mirror = try await makeMirror { $0.checks.verificationBudget = 1000 }
            let (bytes, digest) = try makeContent(700_000)
            let (bad, provider) = try await startCorruptPeer(bytes)
            mirror.router.setProviders([provider], of: digest.text)
            let answer = try await fetch(mirror.address, "/v2/a/blobs/\(digest)")
            #expect(answer.status == 200 && !answer.isWhole && answer.body.count < bytes.count)
            #expect(mirror.server.metrics.corruptAnswers == 1)
            #expect(mirror.server.metrics.outcomes[.cutShort] == 1)
            await mirror.server.shutdown()
            try await bad.stop()
        }

        @Test func answersAllWithSmallBudget() async throws {
            let mirror = try await makeMirror { $0.checks.verificationBudget = 1 << 20 }
            let holder = try await TestNode(host: "127.0.0.2")
            let (bytes, digest) = try makeContent(400_000)
            holder.store.add(bytes, as: digest)
            mirror.router.setProviders([holder.provider], of: digest.text)
            await withTaskGroup(of: Bool.self) { group in
                for _ in 0..<32 {
                    group.addTask {
                        let answer = try? await fetch(mirror.address, "/v2/a/blobs/\(digest)")
                        return answer?.status == 200 && answer?.body == bytes
                    }
                }
                for await isRight in group { #expect(isRight) }
            }
            #expect(mirror.server.metrics.corruptAnswers == 0)
            #expect(try await TestNode.settle { mirror.server.heldBytes == 0 })
            await mirror.server.shutdown()
            await holder.server.shutdown()
        }
    }
}

/// The parts that decide what is checked and when a peer is slow.
struct MirrorCheckPartsTests {
    @Test func budgetIsNeverExceeded() {
        let budget = VerificationBudget(limit: 10)
        #expect(budget.reserve(6) && budget.reserve(4) && !budget.reserve(1))
        budget.release(4)
        #expect(budget.reserve(3) && !budget.reserve(.max))
        #expect(budget.reserved == 9)
    }
}
