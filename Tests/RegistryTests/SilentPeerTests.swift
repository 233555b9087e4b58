import NIOCore
import OCI
import Routing
import RoutingTestSupport
import Synchronization
import Testing

@testable import Registry

extension LoopbackTests {
    /// Peers that fall silent and clients that are slow, over real connections.
    @Suite(.serialized, .timeLimit(.minutes(2))) struct SilentPeerTests {
        @Test func peerSilentInMidBlobComesLast() async throws {
            let mirror = try await TestNode { $0.peers.progressTimeout = .milliseconds(100) }
            let holder = try await TestNode(host: "127.0.0.2")
            let (bytes, digest) = try makeContent(300_000)
            holder.store.add(bytes, as: digest)
            let first = Array(bytes.prefix(1000))
            let (silent, provider) = try await ScriptedPeer.start { _ in
                [.send("HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n"), .bytes(first)]
            }
            mirror.router.setProviders([provider, holder.provider], of: digest.text)
            let answer = try await fetch(mirror.address, "/v2/a/blobs/\(digest)")
            #expect(answer.status == 200 && answer.body == bytes)
            // The kernel moves the end of the body, so the client has it before the transfer is counted.
            #expect(try await TestNode.settle { mirror.server.metrics.failedAttempts == 1 })
            var known: [Provider] = []
            for await provider in mirror.router.providers(of: digest.text, limit: 9) { known.append(provider) }
            #expect(known == [holder.provider, provider])
            await mirror.server.shutdown()
            await holder.server.shutdown()
            try await silent.stop()
        }

        @Test func slowPeerIsAskedAgain() async throws {
            let mirror = try await TestNode { $0.peers.headTimeout = .milliseconds(400) }
            let (bytes, digest) = try makeContent(1000)
            let (_, other) = try makeContent(1001)
            let count = Mutex(0)
            let (peer, provider) = try await ScriptedPeer.start { request in
                guard request.contains(digest.text) else {
                    return [.send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")]
                }
                let number = count.withLock { count in
                    count += 1
                    return count
                }
                return number == 1 ? [] : [.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"), .bytes(bytes)]
            }
            for key in [digest, other] { mirror.router.setProviders([provider], of: key.text) }
            async let answer = fetch(mirror.address, "/v2/a/blobs/\(digest)")
            #expect(try await TestNode.settle { count.withLock { $0 } == 1 })
            #expect(try await fetch(mirror.address, "/v2/a/blobs/\(other)").status == 404)
            let (status, body) = try await (answer.status, answer.body)
            #expect(status == 200 && body == bytes && count.withLock { $0 } == 2)
            await mirror.server.shutdown()
            try await peer.stop()
        }

        @Test func heldBytesCountUntilClientTakesThem() async throws {
            let mirror = try await TestNode {
                $0.checks.checkedSize = 32 << 20
                $0.checks.verificationBudget = 32 << 20
            }
            let holder = try await TestNode(host: "127.0.0.2")
            let (bytes, digest) = try makeContent(24 << 20)
            holder.store.add(bytes, as: digest)
            mirror.router.setProviders([holder.provider], of: digest.text)
            let client = try RawClient(mirror.address, receiveBuffer: 64 << 10)
            try client.send("GET /v2/a/blobs/\(digest) HTTP/1.1\r\nHost: x\r\n\r\n")
            // All has come and was checked, and the client takes none of it.
            #expect(try await TestNode.settle { mirror.server.metrics.relayedBytes == bytes.count })
            #expect(try await TestNode.settle { mirror.server.metrics.mirrorsInFlight == 0 })
            #expect(mirror.server.heldBytes == bytes.count)
            let answer = try await blocking { try client.response() }
            #expect(answer?.body == bytes)
            #expect(try await TestNode.settle { mirror.server.heldBytes == 0 })
            await mirror.server.shutdown()
            await holder.server.shutdown()
        }
    }
}
