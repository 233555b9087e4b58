import NIOCore
import OCI
import Routing
import RoutingTestSupport
import Testing

@testable import Registry

extension LoopbackTests {
    /// Peers that send, but far less than is usual, over real connections.
    @Suite(.serialized, .timeLimit(.minutes(2))) struct SlowPeerTests {
        /// A peer that sends 200 kB per second, from the start or from the middle on.
        private func startSlowPeer(
            _ bytes: [UInt8],
            fastPart: Int,
            host: String = "127.0.0.3"
        ) async throws -> (peer: ScriptedPeer, provider: Provider) {
            try await ScriptedPeer.start(host: host) { request in
                var first = 0
                var head = "HTTP/1.1 200 OK\r\n"
                if let range = request.split(separator: "\r\n").first(where: { $0.hasPrefix("Range: bytes=") }) {
                    first = Int(range.dropFirst(13).prefix { $0.isNumber }) ?? 0
                    head = "HTTP/1.1 206 Partial Content\r\n"
                    head += "Content-Range: bytes \(first)-\(bytes.count - 1)/\(bytes.count)\r\n"
                }
                let turn = max(first, fastPart)
                var steps: [ScriptedPeer.Step] = [
                    .send(head + "Content-Length: \(bytes.count - first)\r\n\r\n"), .bytes(Array(bytes[first..<turn])),
                ]
                for start in stride(from: turn, to: bytes.count, by: 10_000) {
                    steps += [.pause(50), .bytes(Array(bytes[start..<min(bytes.count, start + 10_000)]))]
                }
                return steps
            }
        }

        @Test(arguments: [0, 5_000_000], [VerificationMode.auto, .always])
        func goesOnElsewhereWhenAProviderIsSlow(fastPart: Int, verification: VerificationMode) async throws {
            let mirror = try await TestNode {
                $0.checks.checkedSize = 1000
                $0.checks.verification = verification
            }
            let holder = try await TestNode(host: "127.0.0.2")
            let (bytes, digest) = try makeContent(8_000_000)
            holder.store.add(bytes, as: digest)
            let (slow, provider) = try await startSlowPeer(bytes, fastPart: fastPart)
            mirror.router.setProviders([provider, holder.provider], of: digest.text)
            let began = ContinuousClock.now
            let answer = try await fetch(mirror.address, "/v2/a/blobs/\(digest)")
            let time = ContinuousClock.now - began
            #expect(answer.status == 200 && answer.isWhole && answer.body == bytes)
            // At that rate it would take 15 to 40 seconds.
            #expect(time < .seconds(4), "\(time)")
            #expect(slow.requests.count == 1 && mirror.server.metrics.corruptAnswers == 0)
            #expect(try await TestNode.settle { mirror.server.metrics.failedAttempts == 1 })
            await mirror.server.shutdown()
            await holder.server.shutdown()
            try await slow.stop()
        }

        @Test func slowProvidersAreAskedOnceEach() async throws {
            let mirror = try await TestNode { $0.checks.checkedSize = 1000 }
            let (bytes, digest) = try makeContent(1_500_000)
            let (one, provider) = try await startSlowPeer(bytes, fastPart: 0)
            let (other, second) = try await startSlowPeer(bytes, fastPart: 0, host: "127.0.0.5")
            mirror.router.setProviders([provider, second], of: digest.text)
            let answer = try await fetch(mirror.address, "/v2/a/blobs/\(digest)")
            #expect(answer.isWhole && answer.body == bytes)
            #expect(one.requests.count == 1 && other.requests.count == 1)
            await mirror.server.shutdown()
            try await one.stop()
            try await other.stop()
        }
    }
}
