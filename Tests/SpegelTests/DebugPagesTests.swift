import ContentStore
import DebugAPI
import HTTPClient
import HTTPServer
import LibP2P
import Logging
import Monitoring
import Multiformats
import NIOCore
import NIOPosix
import Registry
import Routing
import Synchronization
import TestSupport
import Testing

@testable import spegel

/// The page and its API over HTTP. They cost nothing without a reader.
struct DebugPagesTests {
    /// The time between two events.
    private static let interval = Duration.milliseconds(20)

    /// The number of calls for the node's readiness, which each status makes once.
    final class Reports: Sendable {
        private let number = Atomic(0)

        var count: Int { number.load(ordering: .relaxed) }

        func add() { number.add(1, ordering: .relaxed) }

        /// Whether a number of calls follow in time.
        func grow(by more: Int) async throws -> Bool {
            let goal = count + more
            for _ in 0..<2000 where count < goal { try await Task.sleep(for: .milliseconds(5)) }
            return count >= goal
        }

        /// Whether 25 intervals pass without a call.
        func cease() async throws -> Bool {
            for _ in 0..<20 {
                let before = count
                try await Task.sleep(for: DebugPagesTests.interval * 25)
                if count == before { return true }
            }
            return false
        }
    }

    /// The report of a node that does not run.
    private func nodeReport(_ folder: TemporaryFolder, readiness: @escaping @Sendable () -> Readiness) throws
        -> NodeReport
    {
        _ = try ImageLayoutWriter(path: folder.path)
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let group = MultiThreadedEventLoopGroup.singleton
        let store = try ImageLayoutStore(path: folder.path, logger: logger)
        let index = ContentIndex()
        let keyPair = KeyPair()
        let host = Host(
            configuration: HostConfiguration(listenAddresses: [], agentVersion: "test"),
            keyPair: keyPair,
            group: group,
            logger: logger
        )
        let router = DHTRouter(host: host, protocolPrefix: "/test", registryPort: 5000, source: nil, logger: logger)
        let filter = ContentFilter()
        return NodeReport(
            peerID: keyPair.peerID,
            storeName: "test",
            store: store,
            idleChecks: nil,
            host: host,
            router: router,
            tracker: StateTracker(store: store, index: index, router: router, filter: filter, logger: logger),
            index: index,
            registry: RegistryServer(
                configuration: RegistryConfiguration(host: "127.0.0.1", port: 0),
                store: store,
                index: index,
                router: router,
                group: group,
                readiness: { .ready("") },
                logger: logger
            ),
            authentication: nil,
            labels: RegistryLabels(configured: nil),
            elector: nil,
            liveness: LivenessMonitor(group: group),
            readiness: readiness,
            registryAddress: ":5000",
            zone: nil,
            zones: PeerZones(),
            group: group,
            roundTrips: RoundTrips(host: host)
        )
    }

    /// The pages of a node behind a server on loopback.
    private func withPages(_ body: (_ port: Int, Reports) async throws -> Void) async throws {
        let reports = Reports()
        let folder = try TemporaryFolder()
        let report = try nodeReport(folder) {
            reports.add()
            return .ready("")
        }
        var configuration = HTTPServer.Configuration(host: "127.0.0.1", port: 0)
        configuration.shutdownGrace = .milliseconds(500)
        let server = HTTPServer(
            configuration: configuration,
            routes: HTTPServer.Routes(
                reads: report.routes(
                    metrics: MetricRegistry(SpegelMetrics.families),
                    pages: DebugPages(report, interval: Self.interval),
                    debug: true
                )
            ),
            group: report.group,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        let port = try #require(try await server.start()?.port)
        do {
            try await body(port, reports)
        } catch {
            await server.shutdown()
            throw error
        }
        await server.shutdown()
    }

    @Test(arguments: ["/", "/debug", "/debug/", "/debug/web"])
    func pathsAboveThePageLeadToIt(_ path: String) async throws {
        try await withPages { port, _ in
            let answer = try await PlainConnection(port: port).ask("GET \(path) HTTP/1.1\r\nHost: localhost\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 30") && answer.contains("Location: /debug/web/\r\n"), "\(answer)")
        }
    }

    @Test func withoutThePagesTheStartListsWhatThereIs() async throws {
        let report = try nodeReport(try TemporaryFolder()) { .ready("") }
        let routes = report.routes(
            metrics: MetricRegistry(SpegelMetrics.families),
            pages: DebugPages(report),
            debug: false
        )
        guard case .text(let text)? = await routes["/"]?(ServerRequest(path: "/")).body else {
            Issue.record("no text at /")
            return
        }
        #expect(text.contains("/metrics") && routes["/debug/"] == nil)
    }

    private func listen(_ port: Int, _ path: String) throws -> PlainConnection {
        let client = try PlainConnection(port: port)
        client.send("GET \(path) HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return client
    }

    /// Whether a client gets a status in time.
    private func getsStatus(_ client: PlainConnection) async -> Bool {
        var text = ""
        for _ in 0..<200 where !text.contains("event: status") { text += await client.receive(for: .milliseconds(50)) }
        return text.hasPrefix("HTTP/1.1 200 ") && text.contains("event: status")
    }

    private func api(_ port: Int) throws -> NodeAPI {
        NodeAPI(url: try #require(HTTPURL("http://127.0.0.1:\(port)")))
    }

    @Test func commandsReadWhatANodeSends() async throws {
        try await withPages { port, _ in
            let status = try await api(port).status()
            #expect(status.document.node.version == Version.text && status.document.node.registry == ":5000")
            #expect(status.document.node.isReady && status.document.store.state == .starting)
            #expect(String(decoding: status.bytes, as: UTF8.self).hasPrefix(#"{"failures":[],"history":"#))

            let report = try await api(port).resolve("alpine:3").document
            #expect(report.name == "docker.io/library/alpine:3" && report.contents.map(\.kind) == [.tag])
            #expect(report.contents.first?.isHeldHere == false && report.contents.first?.holders == [])
            let error = await #expect(throws: NodeAPI.Failure.self) { try await api(port).resolve("a b") }
            #expect(error?.description.hasPrefix("expected an image or a digest, got 'a b'") == true)
        }
    }

    @Test func aLookupCanBeWithoutFollowing() async throws {
        try await withPages { port, _ in
            let client = try PlainConnection(port: port)
            func ask(_ query: String) async throws -> String {
                try await client.ask("GET /debug/api/resolve?\(query) HTTP/1.1\r\nHost: localhost\r\n\r\n")
            }
            let digest = "sha256:" + String(repeating: "a", count: 64)
            let answer = try await ask("reference=\(digest)&follow=false")
            #expect(answer.hasPrefix("HTTP/1.1 200 ") && answer.contains(#""kind":"content""#))
            #expect(try await ask("reference=\(digest)&follow=no").hasPrefix("HTTP/1.1 400 "))
            #expect(try await ask("follow=false").hasPrefix("HTTP/1.1 400 "))
        }
    }

    @Test func theOlderPathsAreGone() async throws {
        try await withPages { port, _ in
            let client = try PlainConnection(port: port)
            for path in ["state", "peers", "content?key=a", "resolve?key=a"] {
                let answer = try await client.ask("GET /debug/\(path) HTTP/1.1\r\nHost: localhost\r\n\r\n")
                #expect(answer.hasPrefix("HTTP/1.1 404 "), "\(path)")
            }
        }
    }

    @Test func statusIsCollectedOnlyForReaders() async throws {
        try await withPages { port, reports in
            try await Task.sleep(for: Self.interval * 25)
            #expect(reports.count == 0)

            let page = try listen(port, "/debug/web/events")
            #expect(try await reports.grow(by: 5))
            let program = try listen(port, "/debug/api/events")
            #expect(await getsStatus(program))
            page.close()
            // The other client still reads.
            #expect(try await reports.grow(by: 20))
            program.close()
            #expect(try await reports.cease())

            // The page itself collects the status once.
            let before = reports.count
            let look = try PlainConnection(port: port)
            #expect(
                try await look.ask("GET /debug/web/ HTTP/1.1\r\nHost: localhost\r\n\r\n").hasPrefix("HTTP/1.1 200 ")
            )
            try await Task.sleep(for: Self.interval * 25)
            #expect(reports.count == before + 1)
        }
    }

    @Test func aClientThatLeavesMakesRoomForAnother() async throws {
        try await withPages { port, reports in
            var clients: [PlainConnection] = []
            for _ in 0..<16 {
                let client = try listen(port, "/debug/api/events")
                #expect(await getsStatus(client))
                clients.append(client)
            }
            let late = try PlainConnection(port: port)
            let request = "GET /debug/api/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
            #expect(try await late.ask(request).hasPrefix("HTTP/1.1 429 "))
            for client in clients { client.close() }
            #expect(try await reports.cease())
            late.send(request)
            #expect(await getsStatus(late))
            late.close()
            #expect(try await reports.cease())
        }
    }

    @Test func roundTripsAreMeasuredOnlyForReaders() async throws {
        let pings = Mutex<[PeerID]>([])
        let peers = (0..<20).map { _ in KeyPair().peerID }
        let roundTrips = RoundTrips { peer in
            pings.withLock { $0.append(peer) }
            return .milliseconds(3)
        }
        try await Task.sleep(for: .milliseconds(200))
        #expect(pings.withLock { $0 } == [])
        #expect(roundTrips.current(of: peers) == [:])
        for _ in 0..<2000 where roundTrips.current(of: peers).isEmpty { try await Task.sleep(for: .milliseconds(5)) }
        #expect(roundTrips.current(of: peers) == Dictionary(uniqueKeysWithValues: peers.map { ($0, .milliseconds(3)) }))
        try await Task.sleep(for: .milliseconds(200))
        // One measurement, however many reads.
        #expect(pings.withLock { $0 }.count == peers.count)
        #expect(Set(pings.withLock { $0 }) == Set(peers))
    }
}
