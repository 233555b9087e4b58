import Multiformats
import Synchronization
import Testing
import Time

@testable import Kademlia

@Suite(.timeLimit(.minutes(5))) struct NodeTests {
    /// Runs nodes during `body`.
    private func running(_ nodes: [KademliaNode], _ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for node in nodes { group.addTask { await node.run() } }
            defer { group.cancelAll() }
            try await body()
        }
    }

    /// Those of the `count` nodes closest to a key that have its record.
    private func holders(of key: Key, amongClosest count: Int, of nodes: [KademliaNode]) -> [KademliaNode] {
        func distance(_ node: KademliaNode) -> KeySpaceDistance {
            KeySpacePosition(hashing: node.localPeer.bytes).distance(to: key.position)
        }
        return nodes.sorted { distance($0) < distance($1) }
            .prefix(count)
            .filter { $0.state.withLock { !$0.machine.heldProviders(of: key.position, now: .zero).trusted.isEmpty } }
    }

    /// Nodes that each know only the first at the start.
    private func joined(_ count: Int, in network: MemoryNetwork) throws -> [KademliaNode] {
        let nodes = try (0..<count).map { try network.makeNode($0) }
        for node in nodes.dropFirst() { node.peerAppeared(try testPeer(0)) }
        return nodes
    }

    @Test func smallClusterHoldsAllRecordsOnAllNodes() async throws {
        let network = MemoryNetwork()
        let nodes = try joined(8, in: network)
        let keys = (0..<200).map { Key("sha256:\($0)") }
        nodes[3].provide(keys)
        try await running(nodes) {
            #expect(await eventually { nodes.allSatisfy { $0.routingTableSize == 7 } })
            #expect(await eventually { nodes.allSatisfy { $0 === nodes[3] || $0.recordCount == 200 } })
            for node in nodes where node !== nodes[3] {
                for key in keys.prefix(20) { #expect(await node.providers(of: key) == [nodes[3].localPeer]) }
            }
            #expect(nodes.allSatisfy { $0 === nodes[3] || $0.statistics.searches.local == 20 })
            // No other node has it, and a node does not find itself.
            #expect(await nodes[3].providers(of: keys[0]) == [])
        }
        #expect(nodes.allSatisfy { $0.activeSearchCount == 0 && $0.activeOperationCount == 0 })
    }

    @Test func all50NodesFindProvider() async throws {
        let network = MemoryNetwork()
        let nodes = try joined(50, in: network)
        let keys = (0..<4).map { Key("sha256:\($0)") }
        try await running(nodes) {
            #expect(await eventually { nodes.allSatisfy { $0.routingTableSize >= 20 } })
            nodes[17].provide(keys)
            for key in keys {
                for node in nodes where node !== nodes[17] {
                    #expect(await eventually { await node.providers(of: key) == [nodes[17].localPeer] })
                }
            }
            // Half of the nodes vanish. Others still have the records.
            for node in nodes.suffix(25) { network.remove(node.localPeer) }
            for node in nodes.prefix(25) where node !== nodes[17] {
                #expect(await node.providers(of: keys[0]) == [nodes[17].localPeer])
            }
            let gone = Set(nodes.suffix(25).map(\.localPeer))
            var round = 0
            let isCleaned = await eventually {
                // Lookups in all directions reach all peers in the tables.
                round += 1
                for node in nodes.prefix(25) { _ = await node.providers(of: Key("missing \(round)")) }
                return nodes.prefix(25).allSatisfy { node in
                    gone.isDisjoint(with: node.routingTableSnapshot.map(\.peer.info.id))
                }
            }
            #expect(isCleaned)
        }
    }

    @Test func readvertisesKeysWhenNetworkOutgrowsK() async throws {
        let network = MemoryNetwork()
        let nodes = try joined(40, in: network)
        let newcomer = try network.makeNode(100)
        let keys = (0..<20).map { Key("sha256:\($0)") }
        newcomer.provide(keys)
        try await running(nodes + [newcomer]) {
            #expect(await eventually { nodes.allSatisfy { $0.routingTableSize >= 20 } })
            newcomer.peerAppeared(try testPeer(0))
            #expect(
                await eventually {
                    keys.allSatisfy { holders(of: $0, amongClosest: 20, of: nodes).count >= 18 }
                }
            )
        }
    }

    @Test func laterNodeGetsRecords() async throws {
        let network = MemoryNetwork()
        let nodes = try joined(4, in: network)
        let keys = (0..<300).map { Key("sha256:\($0)") }
        let newcomer = try network.makeNode(50)
        nodes[1].provide(keys)
        try await running(nodes + [newcomer]) {
            #expect(await eventually { nodes[0].recordCount == 300 && nodes[3].recordCount == 300 })
            newcomer.peerAppeared(try testPeer(0))
            #expect(await eventually { newcomer.recordCount == 300 })
            #expect(await newcomer.providers(of: keys[7]) == [nodes[1].localPeer])
            // A later key reaches it as well.
            nodes[1].provide([Key("new")])
            #expect(await eventually { newcomer.recordCount == 301 })
        }
    }

    @Test func removesFailedPeerAndReadmitsItWhenItReplies() async throws {
        let network = MemoryNetwork()
        let nodes = try joined(2, in: network)
        let keys = (0..<10).map { Key("sha256:\($0)") }
        try await running(nodes) {
            nodes[1].provide(keys)
            #expect(await eventually { nodes[0].recordCount == 10 })
            network.remove(nodes[0].localPeer)
            #expect(await nodes[1].providers(of: Key("other")) == [])
            #expect(nodes[1].routingTableSize == 0)
            // The same node after a restart. Its records are lost and restored by the others.
            let restarted = try network.makeNode(0)
            try await running([restarted]) {
                #expect(await eventually { restarted.recordCount == 10 })
            }
        }
    }

    @Test func loneNodeServesAndFindsNoProvider() async throws {
        let network = MemoryNetwork()
        let node = try network.makeNode(0)
        try await running([node]) {
            node.provide([Key("a")])
            node.bootstrap()
            #expect(await node.providers(of: Key("a")) == [])
            #expect(network.requests == 0)
            #expect(node.providedKeyCount == 1)
        }
    }

    @Test func doesNotReadvertiseWithdrawnKeys() async throws {
        let network = MemoryNetwork()
        let nodes = try [0, 1].map { number in
            try network.makeNode(number) { configuration in
                configuration.reprovideInterval = .milliseconds(100)
                configuration.providerStore.timeToLive = .milliseconds(300)
            }
        }
        nodes[1].peerAppeared(try testPeer(0))
        try await running(nodes) {
            nodes[1].provide([Key("a"), Key("b")])
            #expect(await eventually { nodes[0].recordCount == 2 })
            nodes[1].stopProviding([Key("a")])
            #expect(await eventually { nodes[0].recordCount == 1 })
            #expect(await nodes[0].providers(of: Key("b")) == [nodes[1].localPeer])
        }
    }

    @Test func cancellingSearchStopsItsRequests() async throws {
        let network = MemoryNetwork()
        let nodes = try joined(5, in: network)
        try await running(nodes) {
            #expect(await eventually { nodes[0].routingTableSize == 4 && network.underWay == 0 })
            for node in nodes.dropFirst() { network.silence(node.localPeer) }
            let search = Task { await nodes[0].providers(of: Key("a")) }
            #expect(await eventually { network.underWay >= 4 })
            search.cancel()
            _ = await search.value
            #expect(await eventually { nodes[0].activeSearchCount == 0 })
            // Cancelled requests do not count against their peers.
            #expect(nodes[0].routingTableSize == 4)
        }
        #expect(await eventually { network.underWay == 0 })
    }

    @Test func rejectedSearchNeverBegins() async throws {
        let network = MemoryNetwork()
        let node = try network.makeNode(0) {
            $0.maximumConcurrentLookups = 1
            $0.maximumWaitingLookups = 1
        }
        let other = try network.makeNode(1)
        try await running([node, other]) {
            node.peerAppeared(try testPeer(1))
            #expect(await eventually { node.routingTableSize == 1 && network.underWay == 0 })
            network.silence(other.localPeer)
            let begun = Mutex<[Int]>([])
            let searches = (0..<3).map { number in
                node.providers(of: Key("\(number)"), limit: 1, began: { begun.withLock { $0.append(number) } })
            }
            // The third one has ended, the second waits for the first.
            for await _ in searches[2] {}
            #expect(begun.withLock { $0 } == [0])
            let first = Task { for await _ in searches[0] {} }
            first.cancel()
            await first.value
            #expect(await eventually { begun.withLock { $0 } == [0, 1] })
            let second = Task { for await _ in searches[1] {} }
            second.cancel()
            await second.value
            #expect(await eventually { node.activeSearchCount == 0 })
        }
    }

    @Test func dropsSilentPeerAtDeadline() async throws {
        let network = MemoryNetwork()
        let node = try network.makeNode(0) { $0.requestTimeout = .milliseconds(50) }
        let other = try network.makeNode(1)
        try await running([node, other]) {
            node.peerAppeared(try testPeer(1))
            #expect(await eventually { node.routingTableSize == 1 })
            network.silence(other.localPeer)
            #expect(await node.providers(of: Key("a")) == [])
            #expect(node.routingTableSize == 0)
            #expect(node.statistics.failedRequests >= 1)
        }
    }

    @Test func searchesEndWithService() async throws {
        let network = MemoryNetwork()
        let nodes = try joined(2, in: network)
        let search = Mutex<Task<Set<PeerID>, Never>?>(nil)
        try await running(nodes) {
            #expect(await eventually { nodes[0].routingTableSize == 1 })
            network.silence(nodes[1].localPeer)
            let task = Task { await nodes[0].providers(of: Key("a")) }
            search.withLock { $0 = task }
            #expect(await eventually { nodes[0].activeSearchCount == 1 })
        }
        #expect(await search.withLock { $0 }?.value == [])
        #expect(await nodes[0].providers(of: Key("b")) == [])
    }
}
