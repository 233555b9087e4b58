import ContentStore
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

/// The page costs something only while somebody looks.
struct DebugPagesTests {
    /// How often those who listen are told.
    private static let interval = Duration.milliseconds(20)

    /// How often the node was asked how it is, which each report of it does once.
    final class Reports: Sendable {
        private let number = Atomic(0)

        var count: Int { number.load(ordering: .relaxed) }

        func add() { number.add(1, ordering: .relaxed) }

        /// Whether so many more come in time.
        func grow(by more: Int) async throws -> Bool {
            let goal = count + more
            for _ in 0..<2000 where count < goal { try await Task.sleep(for: .milliseconds(5)) }
            return count >= goal
        }

        /// Whether there is a time of 25 intervals without any.
        func cease() async throws -> Bool {
            for _ in 0..<20 {
                let before = count
                try await Task.sleep(for: DebugPagesTests.interval * 25)
                if count == before { return true }
            }
            return false
        }
    }

    /// The report of a node of which nothing runs.
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

    private func listen(_ port: Int, _ path: String) throws -> PlainConnection {
        let client = try PlainConnection(port: port)
        client.send("GET \(path) HTTP/1.1\r\nHost: x\r\n\r\n")
        return client
    }

    /// Whether a client is told of the node in time.
    private func isTold(_ client: PlainConnection) async -> Bool {
        var text = ""
        for _ in 0..<200 where !text.contains("event: status") { text += await client.receive(for: .milliseconds(50)) }
        return text.hasPrefix("HTTP/1.1 200 ") && text.contains("event: status")
    }

    @Test func reportsAreMadeOnlyWhileSomebodyListens() async throws {
        try await withPages { port, reports in
            try await Task.sleep(for: Self.interval * 25)
            #expect(reports.count == 0)

            let page = try listen(port, "/debug/web/events")
            #expect(try await reports.grow(by: 5))
            let program = try listen(port, "/debug/api/events")
            #expect(await isTold(program))
            page.close()
            // The other still listens.
            #expect(try await reports.grow(by: 20))
            program.close()
            #expect(try await reports.cease())

            // A look at the page itself is one report and no more.
            let before = reports.count
            let look = try PlainConnection(port: port)
            #expect(try await look.ask("GET /debug/web/ HTTP/1.1\r\nHost: x\r\n\r\n").hasPrefix("HTTP/1.1 200 "))
            try await Task.sleep(for: Self.interval * 25)
            #expect(reports.count == before + 1)
        }
    }

    /// What a listener took is free again when it has gone.
    @Test func thoseWhoLeaveMakeRoom() async throws {
        try await withPages { port, reports in
            var clients: [PlainConnection] = []
            for _ in 0..<16 {
                let client = try listen(port, "/debug/api/events")
                #expect(await isTold(client))
                clients.append(client)
            }
            let late = try PlainConnection(port: port)
            let request = "GET /debug/api/events HTTP/1.1\r\nHost: x\r\n\r\n"
            #expect(try await late.ask(request).hasPrefix("HTTP/1.1 429 "))
            for client in clients { client.close() }
            #expect(try await reports.cease())
            late.send(request)
            #expect(await isTold(late))
            late.close()
            #expect(try await reports.cease())
        }
    }

    @Test func roundTripsAreMeasuredOnlyWhenSomebodyLooks() async throws {
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
        // However often somebody looked meanwhile.
        #expect(pings.withLock { $0 }.count == peers.count)
        #expect(Set(pings.withLock { $0 }) == Set(peers))
    }
}
