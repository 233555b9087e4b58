import ContentStore
import NIOCore
import NIOPosix
import OCI
import Routing
import RoutingTestSupport
import Synchronization
import Testing

@testable import Registry

extension LoopbackTests {
    /// Many clients that ask for the same at a time.
    @Suite(.serialized, .timeLimit(.minutes(2))) struct SharedMirrorTests {
        private static let clients = 40
        private static let eventLoops = MultiThreadedEventLoopGroup.singleton.makeIterator().reduce(0) { count, _ in
            count + 1
        }
        private static let json = Array(#"{"schemaVersion":2,"manifests":[]}"#.utf8)

        private func makeMirror(
            router: (any Router)? = nil,
            _ configure: (inout RegistryConfiguration) -> Void = { _ in }
        ) async throws -> TestNode {
            try await TestNode(router: router) {
                $0.checks.checkedSize = 1 << 20
                configure(&$0)
            }
        }

        /// A peer that holds a manifest and takes its time to send it.
        private func startSlowPeer(_ body: [UInt8], pause: Int64 = 300) async throws -> (
            peer: ScriptedPeer, provider: Provider
        ) {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: \(MediaType.ociIndex.text)\r\n"
            return try await ScriptedPeer.start { request in
                let isHead = request.hasPrefix("HEAD")
                let rest: [ScriptedPeer.Step] = isHead ? [] : [.bytes(body)]
                return [.pause(pause), .send(head + "Content-Length: \(body.count)\r\n\r\n")] + rest
            }
        }

        private func fetchAtOnce(
            _ mirror: TestNode,
            _ path: String,
            method: String = "GET"
        ) async throws -> [RawResponse] {
            try await blocking {
                let clients = try ask(mirror, path, method: method)
                return try clients.compactMap { try $0.response(isHead: method == "HEAD") }
            }
        }

        /// Sends as many requests before any is answered.
        private func ask(_ mirror: TestNode, _ path: String, method: String = "GET") throws -> [RawClient] {
            let clients = try (0..<Self.clients).map { _ in try RawClient(mirror.address) }
            for client in clients { try client.send("\(method) \(path) HTTP/1.1\r\nHost: x\r\n\r\n") }
            return clients
        }

        @Test(arguments: ["GET", "HEAD"])
        func asksPeerOncePerEventLoop(method: String) async throws {
            let digest = digestOf(Self.json)
            let mirror = try await makeMirror()
            let (peer, provider) = try await startSlowPeer(Self.json)
            mirror.router.setProviders([provider], of: digest.text)
            let answers = try await fetchAtOnce(mirror, "/v2/a/manifests/\(digest)", method: method)
            #expect(answers.count == Self.clients)
            for answer in answers {
                #expect(answer.status == 200 && answer.headers["docker-content-digest"] == digest.text)
                #expect(answer.headers["x-spegel-source"] == "127.0.0.3:\(try #require(provider.addresses[0].port))")
                #expect(answer.body == (method == "GET" ? Self.json : []))
            }
            #expect(peer.requests.count <= Self.eventLoops)
            #expect(try await TestNode.settle { mirror.server.metrics.outcomes[.mirrored] == Self.clients })
            #expect(mirror.server.history.total.hits == Self.clients)
            let received = method == "GET" ? peer.requests.count * Self.json.count : 0
            #expect(mirror.server.history.total.receivedBytes == Int64(received))
            #expect(mirror.server.heldBytes == 0)
            await mirror.server.shutdown()
            try await peer.stop()
        }

        @Test func followersGetContentWhenFirstClientLeaves() async throws {
            let digest = digestOf(Self.json)
            let mirror = try await makeMirror()
            let (peer, provider) = try await startSlowPeer(Self.json)
            mirror.router.setProviders([provider], of: digest.text)
            let path = "/v2/a/manifests/\(digest)"
            let first = try await blocking { try ask(mirror, path) }
            #expect(try await TestNode.settle { peer.requests.count == Self.eventLoops })
            let others = try await blocking { try ask(mirror, path) }
            try await Task.sleep(for: .milliseconds(50))
            // Those that lead leave last, so that no request passes to a client that is about to leave.
            for client in first.reversed() { client.reset() }
            let answers = try await blocking { try others.compactMap { try $0.response() } }
            #expect(answers.count == Self.clients)
            #expect(answers.allSatisfy { $0.status == 200 && $0.body == Self.json })
            #expect(peer.requests.count <= 2 * Self.eventLoops)
            await mirror.server.shutdown()
            try await peer.stop()
        }

        /// The other request may have a reason to take long that this one has not.
        @Test func followersLookUpAgainWhenFirstIsSlow() async throws {
            let digest = digestOf(Self.json)
            let mirror = try await makeMirror { $0.peers.headTimeout = .seconds(10) }
            let isFirst = Atomic(true)
            let head = "HTTP/1.1 200 OK\r\nContent-Type: \(MediaType.ociIndex.text)\r\n"
            let rest = "Content-Length: \(Self.json.count)\r\n\r\n"
            let (peer, provider) = try await ScriptedPeer.start { _ in
                let pause: Int64 = isFirst.exchange(false, ordering: .relaxed) ? 5000 : 0
                return [.pause(pause), .send(head + rest), .bytes(Self.json)]
            }
            mirror.router.setProviders([provider], of: digest.text)
            let clients = try await blocking { try ask(mirror, "/v2/a/manifests/\(digest)") }
            #expect(try await TestNode.settle { mirror.server.metrics.outcomes[.mirrored] == Self.clients - 1 })
            #expect(mirror.server.metrics.mirrorsInFlight == 1)
            let answers = try await blocking { try clients.compactMap { try $0.response() } }
            #expect(answers.count == Self.clients)
            #expect(answers.allSatisfy { $0.status == 200 && $0.body == Self.json })
            await mirror.server.shutdown()
            try await peer.stop()
        }

        @Test func corruptAnswerReachesNoFollower() async throws {
            let digest = digestOf(Self.json + [0])
            let mirror = try await makeMirror()
            let (peer, provider) = try await startSlowPeer(Self.json)
            mirror.router.setProviders([provider], of: digest.text)
            let answers = try await fetchAtOnce(mirror, "/v2/a/manifests/\(digest)")
            #expect(answers.count == Self.clients && answers.allSatisfy { $0.status == 404 })
            // Those that waited look once more, and find the peer barred.
            #expect(peer.requests.count <= Self.eventLoops)
            await mirror.server.shutdown()
            try await peer.stop()
        }

        @Test func contentAboveBudgetIsFetchedForEach() async throws {
            let digest = digestOf(Self.json)
            let mirror = try await makeMirror { $0.checks.verificationBudget = 10 }
            let (peer, provider) = try await startSlowPeer(Self.json)
            mirror.router.setProviders([provider], of: digest.text)
            let answers = try await fetchAtOnce(mirror, "/v2/a/manifests/\(digest)")
            #expect(answers.count == Self.clients)
            #expect(answers.allSatisfy { $0.status == 200 && $0.body == Self.json })
            #expect(mirror.server.heldBytes == 0)
            await mirror.server.shutdown()
            try await peer.stop()
        }

        @Test func slowAndLeavingClientsReleaseBudget() async throws {
            let (bytes, digest) = try makeContent(Manifest.maximumSize)
            let mirror = try await makeMirror { $0.checks.checkedSize = Int64(Manifest.maximumSize) }
            let (peer, provider) = try await startSlowPeer(bytes)
            mirror.router.setProviders([provider], of: digest.text)
            let path = "/v2/a/manifests/\(digest)"
            // No client reads.
            let clients = try await blocking {
                let clients = try (0..<4).map { _ in try RawClient(mirror.address, receiveBuffer: 4096) }
                for client in clients { try client.send("GET \(path) HTTP/1.1\r\nHost: x\r\n\r\n") }
                return clients
            }
            #expect(try await TestNode.settle { mirror.server.heldBytes > 0 })
            for client in clients.dropLast() { client.reset() }
            let body = try await blocking { try clients.last?.response()?.body }
            #expect(body == bytes)
            #expect(try await TestNode.settle { mirror.server.heldBytes == 0 })
            await mirror.server.shutdown()
            try await peer.stop()
        }

        @Test func lastUserReleases() {
            let released = Mutex(0)
            let shared = SharedRelease(users: 3) { released.withLock { $0 += 1 } }
            for expected in [0, 0, 1] {
                shared.leave()
                #expect(released.withLock { $0 } == expected)
            }
        }

        /// A 404 of a lookup that had begun before a client came would be a false one if the content has come since.
        @Test func requestsDuringFailedLookupLookUpAgain() async throws {
            let digest = digestOf(Self.json)
            let (peer, provider) = try await startSlowPeer(Self.json, pause: 0)
            let router = FirstInVainRouter(provider)
            let mirror = try await makeMirror(router: router)
            let path = "/v2/a/manifests/\(digest)"
            async let first = fetchAtOnce(mirror, path)
            #expect(try await TestNode.settle { router.lookups > 0 })
            try await Task.sleep(for: .milliseconds(100))
            router.contentArrives()
            let later = try await blocking { try ask(mirror, path) }
            try await Task.sleep(for: .milliseconds(100))
            router.endLookups()
            let answers = try await blocking { try later.compactMap { try $0.response() } }
            #expect(answers.count == Self.clients)
            #expect(answers.allSatisfy { $0.status == 200 && $0.body == Self.json })
            // The one of each event loop whose lookup it was.
            #expect(try await first.count { $0.status == 404 } == Self.eventLoops)
            #expect(mirror.server.metrics.outcomes[.notFound] == Self.eventLoops)
            await mirror.server.shutdown()
            try await peer.stop()
        }
    }
}

/// A router whose lookups find no provider if they begin before the content comes to a node, however long they last.
private final class FirstInVainRouter: Router {
    private struct State {
        var hasArrived = false
        var lookups = 0
        var waiting: [@Sendable (LookupEvent) -> Void] = []
    }

    private let provider: Provider
    private let state = Mutex(State())

    init(_ provider: Provider) {
        self.provider = provider
    }

    var lookups: Int { state.withLock { $0.lookups } }

    func contentArrives() {
        state.withLock { $0.hasArrived = true }
    }

    func endLookups() {
        let waiting = state.withLock { state in
            defer { state.waiting = [] }
            return state.waiting
        }
        for onEvent in waiting { onEvent(.ended) }
    }

    func lookUp(
        _ key: String,
        limit: Int,
        onEvent: @escaping @Sendable (LookupEvent) -> Void
    ) -> @Sendable () -> Void {
        onEvent(.started)
        let finds = state.withLock { state in
            state.lookups += 1
            if !state.hasArrived { state.waiting.append(onEvent) }
            return state.hasArrived
        }
        if finds {
            onEvent(.found(provider))
            onEvent(.ended)
        }
        return { onEvent(.ended) }
    }

    func advertise(_ keys: [String]) async {}
    func withdraw(_ keys: [String]) async {}
    var readiness: Readiness { .ready("late") }
}
