import ContentStore
import Glibc
import NIOCore
import OCI
import Routing
import RoutingTestSupport
import Synchronization
import TestSupport
import Testing

@testable import Registry

extension LoopbackTests {
    /// Large content of other nodes that is wrong: a client never gets it whole twice.
    @Suite(.serialized, .timeLimit(.minutes(2))) struct MirrorVerificationTests {
        private let size = 1_000_000

        private func makeMirror(_ verification: VerificationMode = .auto) async throws -> TestNode {
            try await TestNode {
                $0.checks.checkedSize = 1000
                $0.checks.verification = verification
            }
        }

        /// A node that holds content as it is or with a wrong bit, and does not find that out by itself at first.
        private func makeHolder(
            _ host: String,
            _ bytes: [UInt8],
            _ digest: Digest,
            isCorrupt: Bool,
            checksFiles: Bool = true
        ) async throws -> TestNode {
            let node = try await TestNode(host: host, checksFiles: checksFiles) {
                $0.checks.checkedSize = 1000
                $0.checks.tailTimeout = .zero
                $0.checks.checkTimeout = .seconds(9)
                $0.peers.headTimeout = .seconds(9)
            }
            var content = bytes
            if isCorrupt { content[content.count / 2] ^= 1 }
            node.store.add(content, as: digest)
            return node
        }

        /// A peer of another make, which knows nothing of checks.
        private func startPeer(_ bytes: [UInt8], wrong: Bool) async throws -> (peer: ScriptedPeer, provider: Provider) {
            var content = bytes
            if wrong { content[content.count / 2] ^= 1 }
            let body = content
            return try await ScriptedPeer.start { request in
                guard let first = request.firstRange else {
                    return [.send("HTTP/1.1 200 OK\r\nContent-Length: \(body.count)\r\n\r\n"), .bytes(body)]
                }
                let head =
                    "HTTP/1.1 206 Partial Content\r\nContent-Length: \(body.count - first)\r\n"
                    + "Content-Range: bytes \(first)-\(body.count - 1)/\(body.count)\r\n\r\n"
                return [.send(head), .bytes(Array(body[first...]))]
            }
        }

        @Test func verifyAlwaysHoldsEndOfWrongContent() async throws {
            let mirror = try await makeMirror(.always)
            let (bytes, digest) = try makeContent(size)
            let (bad, provider) = try await startPeer(bytes, wrong: true)
            mirror.router.setProviders([provider], of: digest.text)
            let path = "/v2/a/blobs/\(digest)"
            let first = try await fetch(mirror.address, path)
            #expect(first.status == 200 && !first.isWhole && first.body.count < size)
            // containerd asks for the rest then, and goes on to the source when there is none.
            let range = ["Range: bytes=\(first.body.count)-"]
            #expect(try await fetch(mirror.address, path, headers: range).status == 404)
            #expect(try await fetch(mirror.address, path).status == 404)
            #expect(mirror.server.metrics.corruptAnswers == 1 && bad.requests.count == 1)
            #expect(mirror.router.advertised.isEmpty)
            await mirror.server.shutdown()
            try await bad.stop()
        }

        @Test func verifyAlwaysSendsRightContentWhole() async throws {
            let mirror = try await makeMirror(.always)
            let (bytes, digest) = try makeContent(size)
            let holder = try await makeHolder("127.0.0.2", bytes, digest, isCorrupt: false)
            mirror.router.setProviders([holder.provider], of: digest.text)
            for _ in 0..<3 { #expect(try await fetch(mirror.address, "/v2/a/blobs/\(digest)").body == bytes) }
            #expect(mirror.server.metrics.corruptAnswers == 0)
            await mirror.server.shutdown()
            await holder.server.shutdown()
        }

        /// A client that fetches parts beside each other asks for a small blob so: it is checked all the same.
        @Test func verifiesRangeOfWholeSmallBlob() async throws {
            let mirror = try await makeMirror()
            let (bytes, digest) = try makeContent(900)
            let (bad, provider) = try await startPeer(bytes, wrong: true)
            let holder = try await makeHolder("127.0.0.2", bytes, digest, isCorrupt: false)
            mirror.router.setProviders([provider, holder.provider], of: digest.text)
            for range in ["bytes=0-", "bytes=0-899"] {
                let answer = try await fetch(mirror.address, "/v2/a/blobs/\(digest)", headers: ["Range: \(range)"])
                #expect(answer.status == 206 && answer.body == bytes)
                #expect(answer.headers["content-range"] == "bytes 0-899/900")
            }
            #expect(bad.requests.count == 1 && mirror.server.metrics.corruptAnswers == 1)
            await mirror.server.shutdown()
            await holder.server.shutdown()
            try await bad.stop()
        }

        /// Where there is no byte to check, the length tells.
        @Test func refusesEmptyAnswerForContent() async throws {
            let mirror = try await makeMirror()
            let (bytes, digest) = try makeContent(900)
            let (bad, provider) = try await startPeer([], wrong: false)
            let holder = try await makeHolder("127.0.0.2", bytes, digest, isCorrupt: false)
            mirror.router.setProviders([provider, holder.provider], of: digest.text)
            #expect(try await fetch(mirror.address, "/v2/a/blobs/\(digest)").body == bytes)
            #expect(bad.requests.count == 1)
            let nothing = digestOf([])
            mirror.router.setProviders([provider], of: nothing.text)
            let empty = try await fetch(mirror.address, "/v2/a/blobs/\(nothing)")
            #expect(empty.status == 200 && empty.isWhole && empty.body.isEmpty)
            await mirror.server.shutdown()
            await holder.server.shutdown()
            try await bad.stop()
        }

        @Test func repeatedRequestIsServedByAnotherPeer() async throws {
            let mirror = try await makeMirror()
            let (bytes, digest) = try makeContent(size)
            let (bad, provider) = try await startPeer(bytes, wrong: true)
            let holder = try await makeHolder("127.0.0.2", bytes, digest, isCorrupt: false)
            mirror.router.setProviders([provider, holder.provider], of: digest.text)
            let first = try await fetch(mirror.address, "/v2/a/blobs/\(digest)")
            #expect(first.isWhole && first.body != bytes)
            for _ in 0..<3 { #expect(try await fetch(mirror.address, "/v2/a/blobs/\(digest)").body == bytes) }
            await mirror.server.shutdown()
            await holder.server.shutdown()
            try await bad.stop()
        }

        /// A peer that knows nothing of checks is hashed instead, and serves nothing any more once it was wrong.
        @Test func secondTryAtTheOnlyHolderIsHashed() async throws {
            let mirror = try await makeMirror()
            let (bytes, digest) = try makeContent(size)
            let (bad, provider) = try await startPeer(bytes, wrong: true)
            mirror.router.setProviders([provider], of: digest.text)
            let path = "/v2/a/blobs/\(digest)"
            #expect(try await fetch(mirror.address, path).isWhole)
            let second = try await fetch(mirror.address, path)
            #expect(second.status == 200 && !second.isWhole && second.body.count < size)
            #expect(mirror.server.metrics.corruptAnswers == 1)
            for headers in [["Range: bytes=\(second.body.count)-"], []] {
                #expect(try await fetch(mirror.address, path, headers: headers).status == 404)
            }
            #expect(bad.requests.count == 2)
            await mirror.server.shutdown()
            try await bad.stop()
        }

        /// As with Spegel in Go: the holder knows nothing of checks, and the client asks again and again.
        @Test func repeatedRequestsAreServedByAHolderThatCannotVerify() async throws {
            let mirror = try await makeMirror()
            let (bytes, digest) = try makeContent(size)
            let (peer, provider) = try await startPeer(bytes, wrong: false)
            mirror.router.setProviders([provider], of: digest.text)
            let path = "/v2/a/blobs/\(digest)"
            for _ in 0..<4 {
                let whole = try await fetch(mirror.address, path)
                #expect(whole.status == 200 && whole.body == bytes)
                let part = try await fetch(mirror.address, path, headers: ["Range: bytes=500-"])
                #expect(part.status == 206 && part.body == Array(bytes.dropFirst(500)))
            }
            #expect(mirror.server.metrics.failedAttempts == 0 && mirror.server.metrics.corruptAnswers == 0)
            await mirror.server.shutdown()
            try await peer.stop()
        }

        /// A holder of either kind fails in mid-blob while a client repeats its request: the other continues.
        @Test func holderThatCannotVerifyContinuesARepeatedRequest() async throws {
            let mirror = try await makeMirror()
            let (bytes, digest) = try makeContent(size)
            let (peer, provider) = try await startPeer(bytes, wrong: false)
            let (dying, other) = try await ScriptedPeer.start(host: "127.0.0.5") { _ in
                [
                    .send("HTTP/1.1 200 OK\r\nContent-Length: \(bytes.count)\r\n\r\n"),
                    .bytes(Array(bytes.prefix(600_000))), .close,
                ]
            }
            mirror.router.setProviders([provider], of: digest.text)
            let path = "/v2/a/blobs/\(digest)"
            #expect(try await fetch(mirror.address, path).body == bytes)
            mirror.router.setProviders([provider, other], of: digest.text)
            let second = try await fetch(mirror.address, path)
            #expect(second.isWhole && second.body == bytes)
            #expect(dying.requests.count == 1 && peer.requests.count == 2)
            await mirror.server.shutdown()
            try await peer.stop()
            try await dying.stop()
        }

        /// What the node's own store has committed was right, so a second pull after a removal is no reason for a check.
        @Test func pullAfterARemovalIsNotHashed() async throws {
            let mirror = try await makeMirror()
            let (bytes, digest) = try makeContent(size)
            let (peer, provider) = try await startPeer(bytes, wrong: false)
            mirror.router.setProviders([provider], of: digest.text)
            mirror.index.replace(contents: [:], tags: [:])
            for _ in 0..<3 {
                #expect(try await fetch(mirror.address, "/v2/a/blobs/\(digest)").body == bytes)
                #expect(try await TestNode.settle { mirror.server.metrics.mirrorsInFlight == 0 })
                mirror.index.insert(digest, size: Int64(size), mediaType: nil)
                mirror.index.remove(digest)
            }
            #expect(peer.requests.count == 3)
            #expect(peer.requests.allSatisfy { !$0.contains("X-Spegel-Check") })
            await mirror.server.shutdown()
            try await peer.stop()
        }

        @Test func peerWithCheckedCopyServesAgain() async throws {
            let mirror = try await makeMirror()
            let (bytes, digest) = try makeContent(size)
            let holder = try await makeHolder("127.0.0.2", bytes, digest, isCorrupt: false)
            mirror.router.setProviders([holder.provider], of: digest.text)
            for _ in 0..<4 { #expect(try await fetch(mirror.address, "/v2/a/blobs/\(digest)").body == bytes) }
            let part = try await fetch(mirror.address, "/v2/a/blobs/\(digest)", headers: ["Range: bytes=999-"])
            #expect(part.body == Array(bytes.dropFirst(999)))
            #expect(mirror.server.metrics.failedAttempts == 0)
            await mirror.server.shutdown()
            await holder.server.shutdown()
        }

        @Test func corruptCopyLeadsToUpstream() async throws {
            let mirror = try await makeMirror()
            let (bytes, digest) = try makeContent(size)
            let holder = try await makeHolder("127.0.0.2", bytes, digest, isCorrupt: true)
            mirror.router.setProviders([holder.provider], of: digest.text)
            let first = try await fetch(mirror.address, "/v2/a/blobs/\(digest)")
            #expect(first.status == 200 && first.body != bytes)
            mirror.router.setProviders([holder.provider], of: digest.text)
            #expect(try await fetch(mirror.address, "/v2/a/blobs/\(digest)").status == 404)
            await mirror.server.shutdown()
            await holder.server.shutdown()
        }

        @Test func hashesContentOfDistrustedPeer() async throws {
            let mirror = try await makeMirror()
            let (small, smallDigest) = try makeContent(900)
            let (bytes, digest) = try makeContent(size, seed: 2)
            let wrongSmall = small.map { $0 ^ 1 }
            var wrong = bytes
            wrong[5] ^= 1
            let body = wrong
            let (bad, provider) = try await ScriptedPeer.start { request in
                let content = request.contains(smallDigest.text) ? wrongSmall : body
                return [.send("HTTP/1.1 200 OK\r\nContent-Length: \(content.count)\r\n\r\n"), .bytes(content)]
            }
            mirror.router.setProviders([provider], of: smallDigest.text)
            mirror.router.setProviders([provider], of: digest.text)
            #expect(try await fetch(mirror.address, "/v2/a/blobs/\(smallDigest)").status == 404)
            let answer = try await fetch(mirror.address, "/v2/a/blobs/\(digest)")
            #expect(answer.status == 200 && !answer.isWhole)
            #expect(mirror.server.metrics.corruptAnswers == 2)
            await mirror.server.shutdown()
            try await bad.stop()
        }

        /// One of two peers, of which each gave a part, is to blame: neither is asked for what it has not checked, and
        /// the one that is right may serve again.
        @Test func goodSourceOfTwoServesAgain() async throws {
            let mirror = try await makeMirror(.always)
            let (bytes, digest) = try makeContent(size)
            let wrong = [UInt8](repeating: 0, count: size)
            let (bad, provider) = try await ScriptedPeer.start { _ in
                [
                    .send("HTTP/1.1 200 OK\r\nContent-Length: \(wrong.count)\r\n\r\n"),
                    .bytes(Array(wrong.prefix(500))), .close,
                ]
            }
            let holder = try await makeHolder("127.0.0.2", bytes, digest, isCorrupt: false)
            mirror.router.setProviders([provider, holder.provider], of: digest.text)
            let first = try await fetch(mirror.address, "/v2/a/blobs/\(digest)")
            #expect(first.status == 200 && !first.isWhole)
            #expect(try await fetch(mirror.address, "/v2/a/blobs/\(digest)").body == bytes)
            await mirror.server.shutdown()
            await holder.server.shutdown()
            try await bad.stop()
        }

        @Test func manySmallRangesComeOverFewConnectionsWithFewLookups() async throws {
            let (bytes, digest) = try makeContent(64 << 20)
            let holders = try await [
                makeHolder("127.0.0.2", bytes, digest, isCorrupt: false),
                makeHolder("127.0.0.4", bytes, digest, isCorrupt: false),
            ]
            let router = CountingRouter(holders.map(\.provider))
            let mirror = try await TestNode(router: router)
            let count = 1000
            try await withThrowingTaskGroup(of: Void.self) { group in
                for client in 0..<4 {
                    group.addTask {
                        try await blocking {
                            let connection = try RawClient(mirror.address)
                            for number in stride(from: client, to: count, by: 4) {
                                let first = number * (64 << 10)
                                let request =
                                    "GET /v2/a/blobs/\(digest) HTTP/1.1\r\nHost: x\r\n"
                                    + "Range: bytes=\(first)-\(first + 65_535)\r\n\r\n"
                                try connection.send(request)
                                let answer = try connection.response()
                                #expect(answer?.status == 206 && answer?.body == Array(bytes[first..<(first + 65_536)]))
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(router.lookups < 50, "\(router.lookups) lookups")
            #expect(holders.map(\.server.metrics.openConnections).reduce(0, +) <= 12)
            // The last are counted a moment after their clients have them.
            #expect(try await TestNode.settle { mirror.server.metrics.outcomes[.mirrored] == count })
            await mirror.server.shutdown()
            for holder in holders { await holder.server.shutdown() }
        }

        @Test func replacesFailedRecentProvider() async throws {
            let (bytes, digest) = try makeContent(size)
            let one = try await makeHolder("127.0.0.2", bytes, digest, isCorrupt: false)
            let other = try await makeHolder("127.0.0.4", bytes, digest, isCorrupt: false)
            let mirror = try await makeMirror()
            mirror.router.setProviders([one.provider], of: digest.text)
            let path = "/v2/a/blobs/\(digest)"
            #expect(try await fetch(mirror.address, path, headers: ["Range: bytes=0-9"]).status == 206)
            unlink(one.store.path(digest))
            mirror.router.setProviders([one.provider, other.provider], of: digest.text)
            let answer = try await fetch(mirror.address, path, headers: ["Range: bytes=10-19"])
            #expect(answer.status == 206 && answer.body == Array(bytes[10..<20]))
            await mirror.server.shutdown()
            await one.server.shutdown()
            await other.server.shutdown()
        }
    }
}

extension String {
    /// The first byte of the range that a request asks for.
    fileprivate var firstRange: Int? {
        guard let start = self.range(of: "Range: bytes=")?.upperBound else { return nil }
        return Int(self[start...].prefix { $0.isNumber })
    }

    private func range(of text: String) -> Range<Index>? { ranges(of: text).first }
}

/// A router that says always the same, and counts how often it is asked.
private final class CountingRouter: Router {
    private let holders: [Provider]
    private let count = Mutex(0)

    var lookups: Int { count.withLock { $0 } }

    init(_ holders: [Provider]) {
        self.holders = holders
    }

    func lookUp(
        _ key: String,
        limit: Int,
        onEvent: @escaping @Sendable (LookupEvent) -> Void
    ) -> @Sendable () -> Void {
        count.withLock { $0 += 1 }
        onEvent(.started)
        for provider in holders.prefix(limit) { onEvent(.found(provider)) }
        onEvent(.ended)
        return {}
    }

    func advertise(_ keys: [String]) async {}
    func withdraw(_ keys: [String]) async {}
    var readiness: Readiness { .ready("always") }
}
