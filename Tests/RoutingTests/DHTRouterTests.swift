import LibP2P
import Logging
import Multiformats
import NIOPosix
import Testing

@testable import Routing

/// Nodes of the DHT in one process, over real connections on loopback.
@Suite(.timeLimit(.minutes(2)))
struct DHTRouterTests {
    static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    struct Node {
        let host: Host
        let router: DHTRouter

        init(_ address: String, bootstrap: [Multiaddr] = []) async throws {
            host = Host(
                configuration: HostConfiguration(
                    listenAddresses: [try Multiaddr("/ip4/\(address)/tcp/0")],
                    agentVersion: "test"
                ),
                keyPair: KeyPair(),
                group: MultiThreadedEventLoopGroup.singleton,
                logger: DHTRouterTests.logger
            )
            router = DHTRouter(
                host: host,
                protocolPrefix: "/spegel",
                registryPort: 5000,
                source: StaticBootstrap(bootstrap),
                logger: DHTRouterTests.logger
            )
            try await host.start()
        }
    }

    /// Runs nodes that start from the first one, beside the body.
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

    @Test func everyNodeFindsWhatOneAdvertises() async throws {
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
            #expect(await found("sha256:nobody", by: nodes[0].router).isEmpty)
        }
    }

    @Test func aNodeThatComesLaterLearnsAllRecords() async throws {
        try await running(["127.0.0.2"]) { nodes in
            let first = nodes[0]
            // A lone node is ready, and keeps its keys for whoever comes.
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
}
