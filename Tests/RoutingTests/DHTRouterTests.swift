import Kademlia
import LibP2P
import Logging
import Multiformats
import NIOPosix
import RoutingTestSupport
import ServiceLifecycle
import TestSupport
import Testing

@testable import Routing

/// Nodes of the DHT in one process, over real connections on loopback.
@Suite(.timeLimit(.minutes(2)))
struct DHTRouterTests {
    static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    struct Node {
        let host: Host
        let router: DHTRouter
        let zones = PeerZones()

        init(
            _ address: String,
            zone: Zone? = nil,
            bootstrap: [Multiaddr] = [],
            logger: Logger = DHTRouterTests.logger
        ) async throws {
            var configuration = HostConfiguration(
                listenAddresses: [try Multiaddr("/ip4/\(address)/tcp/0")],
                agentVersion: "test"
            )
            if let zone { configuration.announcements = [zone.protocolName] }
            host = Host(
                configuration: configuration,
                keyPair: KeyPair(),
                group: MultiThreadedEventLoopGroup.singleton,
                logger: DHTRouterTests.logger
            )
            router = DHTRouter(
                host: host,
                protocolPrefix: "/spegel",
                registryPort: 5000,
                source: StaticBootstrap(bootstrap),
                zones: zones,
                logger: logger
            )
            try await host.start()
        }
    }

    /// Runs nodes that start from the first one, during the body.
    func running(_ addresses: [String], _ body: ([Node]) async throws -> Void) async throws {
        let first = try await Node(try #require(addresses.first))
        var nodes = [first]
        for address in addresses.dropFirst() {
            nodes.append(try await Node(address, bootstrap: first.host.listenAddresses))
        }
        let tasks = nodes.map { node in Task { try await node.router.run() } }
        do {
            try await body(nodes)
        } catch {
            Issue.record(error)
        }
        for task in tasks { task.cancel() }
        for task in tasks { _ = await task.result }
        for node in nodes { await node.host.shutdown() }
    }

    func waitUntil(_ what: String, _ condition: () async -> Bool) async throws {
        for _ in 0..<2000 {
            if await condition() { return }
            try await Task.sleep(for: .milliseconds(5))
        }
        Issue.record("not within 10 s: \(what)")
    }

    func found(_ key: String, by router: DHTRouter) async -> Set<String> {
        var found: Set<String> = []
        for await provider in router.providers(of: key, limit: 3) {
            found.insert("\(provider.peerID) \(provider.addresses)")
        }
        return found
    }

    @Test func everyNodeFindsAdvertisedKeys() async throws {
        try await running(["127.0.0.2", "127.0.0.3", "127.0.0.4"]) { nodes in
            for node in nodes {
                try await waitUntil("each node knows two others") { node.router.counts.peers == 2 }
                guard case .ready = node.router.readiness else {
                    Issue.record("not ready")
                    return
                }
            }
            await nodes[1].router.advertise(["sha256:abc", "docker.io/library/x:1"])
            let expected: Set = ["\(nodes[1].host.peerID) [[IPv4]127.0.0.3:5000]"]
            for key in ["sha256:abc", "docker.io/library/x:1"] {
                for number in [0, 2] {
                    try await waitUntil("node \(number) finds \(key)") {
                        await found(key, by: nodes[number].router) == expected
                    }
                }
            }
            #expect(await found("sha256:absent", by: nodes[0].router).isEmpty)
        }
    }

    @Test func nodeThatPeersFindSaysSoAtOnce() async throws {
        let log = RecordingLog()
        let first = try await Node("127.0.0.2", logger: Logger(label: "test") { _ in log })
        let firstTask = Task { try await first.router.run() }
        try await waitUntil("it is alone") { log.messages.contains("no other node reachable, serving local content") }
        let second = try await Node("127.0.0.3", bootstrap: first.host.listenAddresses)
        let secondTask = Task { try await second.router.run() }
        try await waitUntil("it has joined") { log.messages.contains("joined the network") }
        for task in [firstTask, secondTask] { task.cancel() }
        for task in [firstTask, secondTask] { _ = await task.result }
        for node in [first, second] { await node.host.shutdown() }
    }

    @Test func connectedNodesKnowZonesOfEachOther() async throws {
        let first = try await Node("127.0.0.2", zone: Zone("zone-a"))
        let second = try await Node("127.0.0.3", zone: Zone("zone-b"), bootstrap: first.host.listenAddresses)
        let third = try await Node("127.0.0.4", bootstrap: first.host.listenAddresses)
        let nodes = [first, second, third]
        let tasks = nodes.map { node in Task { try await node.router.run() } }
        for node in nodes { try await waitUntil("each node knows two others") { node.router.counts.peers == 2 } }
        let ids = nodes.map { "\($0.host.peerID)" }
        for node in nodes {
            let told = ids.map { node.zones.zone(of: $0)?.text }
            let own = nodes.firstIndex { $0.host.peerID == node.host.peerID }
            let expected = ["zone-a", "zone-b", nil].enumerated().map { $0.offset == own ? nil : $0.element }
            #expect(told == expected)
        }
        for task in tasks { task.cancel() }
        for task in tasks { _ = await task.result }
        for node in nodes { await node.host.shutdown() }
    }

    @Test func laterNodeGetsAllRecords() async throws {
        try await running(["127.0.0.2"]) { nodes in
            let first = nodes[0]
            // A lone node is ready, and keeps its keys for later nodes.
            try await waitUntil("ready alone") { if case .ready = first.router.readiness { true } else { false } }
            await first.router.advertise((0..<200).map { "sha256:\($0)" })
            let late = try await Node("127.0.0.9", bootstrap: first.host.listenAddresses)
            let task = Task { try await late.router.run() }
            try await waitUntil("the late node holds all records") { late.router.counts.records == 200 }
            task.cancel()
            _ = await task.result
            await late.host.shutdown()
        }
    }

    @Test func allNodesDropWithdrawnKeys() async throws {
        try await running(["127.0.0.2", "127.0.0.3", "127.0.0.4"]) { nodes in
            await nodes[1].router.advertise((0..<300).map { "sha256:\($0)" })
            for number in [0, 2] {
                try await waitUntil("node \(number) holds all records") { nodes[number].router.counts.records == 300 }
            }
            // Records expire in minutes, so those that vanish within seconds were withdrawn.
            await nodes[1].router.withdraw((0..<200).map { "sha256:\($0)" })
            for number in [0, 2] {
                try await waitUntil("node \(number) forgets") { nodes[number].router.counts.records == 100 }
            }
            #expect(await found("sha256:7", by: nodes[0].router).isEmpty)
        }
    }

    @Test func nodeWithdrawsRecordsAtShutdown() async throws {
        try await running(["127.0.0.2"]) { nodes in
            let leaving = try await Node("127.0.0.9", bootstrap: nodes[0].host.listenAddresses)
            let group = ServiceGroup(
                configuration: ServiceGroupConfiguration(services: [leaving.router], logger: Self.logger)
            )
            let task = Task { try await group.run() }
            await leaving.router.advertise((0..<1000).map { "sha256:\($0)" })
            try await waitUntil("all records are held") { nodes[0].router.counts.records == 1000 }
            await group.triggerGracefulShutdown()
            _ = await task.result
            #expect(nodes[0].router.counts.records == 0)
            #expect(nodes[0].router.counts.peers == 0)
            await leaving.host.shutdown()
        }
    }

    @Test func doesNotOfferProviderWithoutContent() async throws {
        try await running(["127.0.0.2", "127.0.0.3"]) { nodes in
            await nodes[1].router.advertise(["sha256:abc"])
            try await waitUntil("it is found") { await !found("sha256:abc", by: nodes[0].router).isEmpty }
            for await provider in nodes[0].router.providers(of: "sha256:abc", limit: 1) {
                nodes[0].router.reportMissing(provider, of: "sha256:abc")
            }
            #expect(await found("sha256:abc", by: nodes[0].router).isEmpty)
        }
    }

    @Test func traceReportsRequests() async throws {
        try await running(["127.0.0.2", "127.0.0.3"]) { nodes in
            try await waitUntil("they know each other") { nodes.allSatisfy { $0.router.counts.peers == 1 } }
            let summary = try #require(await nodes[0].router.trace(key: "sha256:absent"))
            #expect(summary.outcome == .missed)
            #expect(summary.trace?.requests.map(\.peer.id) == [nodes[1].host.peerID])
            #expect(nodes[0].router.peers.map(\.id) == ["\(nodes[1].host.peerID)"])
            #expect(nodes[0].router.statistics.searches.missed == 1)
        }
    }

    /// An address that never responds must not keep the node from one that does.
    @Test func loneNodeFindsLaterPeer() async throws {
        let later = try await Node("127.0.0.8")
        let address = try #require(later.host.listenAddresses.first).withoutPeerID
        await later.host.shutdown()
        let lone = try await Node("127.0.0.2", bootstrap: [address, try Multiaddr("/ip4/127.0.0.77/tcp/1")])
        let task = Task { try await lone.router.run() }
        try await waitUntil("ready alone") { if case .ready = lone.router.readiness { true } else { false } }
        let host = Host(
            configuration: HostConfiguration(listenAddresses: [address], agentVersion: "test"),
            keyPair: KeyPair(),
            group: MultiThreadedEventLoopGroup.singleton,
            logger: Self.logger
        )
        let router = DHTRouter(
            host: host,
            protocolPrefix: "/spegel",
            registryPort: 5000,
            source: nil,
            logger: Self.logger
        )
        try await host.start()
        let other = Task { try await router.run() }
        try await waitUntil("they know each other") { lone.router.counts.peers == 1 && router.counts.peers == 1 }
        for task in [task, other] {
            task.cancel()
            _ = await task.result
        }
        await lone.host.shutdown()
        await host.shutdown()
    }

    @Test func dialsAllCandidatesEquallyOften() throws {
        var generator = SeededGenerator()
        let candidates = try (1...20).map { try Multiaddr("/ip4/10.0.0.\($0)/tcp/5001") }
        var counts: [Multiaddr: Int] = [:]
        for _ in 0..<2000 {
            let chosen = Bootstrapper.choice(of: candidates, count: 3, using: &generator)
            #expect(Set(chosen).count == 3)
            for address in chosen { counts[address, default: 0] += 1 }
        }
        // 300 each, give or take six standard deviations.
        #expect(candidates.allSatisfy { (200...400).contains(counts[$0] ?? 0) }, "seed \(generator.seed)")
        #expect(Bootstrapper.choice(of: candidates, count: -1, using: &generator).isEmpty)
    }
}
