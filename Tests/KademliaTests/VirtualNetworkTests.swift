import Multiformats
import TestSupport
import Testing

@testable import Kademlia

/// Many machines, in virtual time.
@Suite struct VirtualNetworkTests {
    private func keys(_ count: Int) -> [Key] { (0..<count).map { Key("sha256:\($0)") } }

    /// The number of the K peers closest to a key that have its record.
    private func holders(of key: Key, _ network: VirtualNetwork, except provider: PeerInfo) -> (right: Int, all: Int) {
        let others = network.peers.filter { $0 != provider && !network.dead.contains($0.id) }
        func holds(_ peer: PeerInfo) -> Bool {
            network.machines[peer.id]?.store.providers(for: key.position, now: network.now)
                .contains { $0.id == provider.id } ?? false
        }
        return (trulyClosest(20, of: others, to: key.position).count(where: holds), others.count(where: holds))
    }

    @Test func smallClusterHoldsAllRecordsOnAllNodes() throws {
        let generator = SeededGenerator()
        var network = VirtualNetwork(generator)
        try network.add(0..<8)
        let provider = network.peers[3]
        network.run(for: .seconds(5))
        network.change(provider.id) { $0.provide(keys(100), now: $1) }
        network.run(for: .milliseconds(100))
        for peer in network.peers where peer != provider {
            #expect(network.machines[peer.id]?.recordCount == 100, "seed \(generator.seed)")
            let before = network.sentMessages
            #expect(network.providers(of: keys(100)[17], by: peer) == [provider.id])
            #expect(network.sentMessages == before)
        }
        // Withdrawn within a second.
        network.change(provider.id) { $0.stopProviding(keys(50), now: $1) }
        network.run(for: .seconds(1))
        for peer in network.peers where peer != provider { #expect(network.machines[peer.id]?.recordCount == 50) }
        // Renewed while they are provided, a few at a time.
        network.run(for: .seconds(3000))
        for peer in network.peers where peer != provider { #expect(network.machines[peer.id]?.recordCount == 50) }
        // An orderly departure removes everything.
        network.change(provider.id) { $0.leave(now: $1) }
        network.run(for: .seconds(1))
        #expect(network.machines[provider.id]?.hasLeft == true)
        for peer in network.peers where peer != provider {
            #expect(network.machines[peer.id]?.recordCount == 0)
            #expect(network.machines[peer.id]?.table.count == 6)
        }
    }

    @Test func laterNodeGetsAllRecords() throws {
        var network = VirtualNetwork(SeededGenerator())
        try network.add(0..<5)
        network.change(network.peers[1].id) { $0.provide(keys(3000), now: $1) }
        network.run(for: .seconds(1))
        let newcomer = try network.add(50)
        let first = network.peers[0]
        network.change(newcomer.id) { machine, now in machine.peerAppeared(first, now: now) }
        network.run(for: .seconds(1))
        #expect(network.machines[newcomer.id]?.recordCount == 3000)
        #expect(network.machines[newcomer.id]?.table.count == 5)
    }

    @Test func otherImplementationsGetOnlyAddProvider() throws {
        var network = VirtualNetwork(SeededGenerator())
        try network.add(0..<3)
        let (provider, other) = (network.peers[0], network.peers[1])
        network.kadOnly = [other.id]
        network.change(provider.id) { $0.provide(keys(10), now: $1) }
        network.run(for: .seconds(1))
        #expect(network.machines[other.id]?.recordCount == 10)
        network.change(provider.id) { $0.stopProviding(keys(10), now: $1) }
        network.run(for: .seconds(1))
        #expect(network.machines[other.id]?.recordCount == 10)
        #expect(network.machines[network.peers[2].id]?.recordCount == 0)
    }

    @Test func dropsDeadPeerWithItsRecords() throws {
        var network = VirtualNetwork(SeededGenerator())
        try network.add(0..<4)
        let provider = network.peers[3]
        network.change(provider.id) { $0.provide(keys(5), now: $1) }
        network.run(for: .seconds(1))
        network.kill(provider)
        // A search without a result asks all peers, and so detects it.
        #expect(network.providers(of: Key("other"), by: network.peers[0]) == [])
        #expect(network.machines[network.peers[0].id]?.table.count == 2)
        // It is offered while it may come back.
        #expect(network.providers(of: keys(5)[0], by: network.peers[0]) == [provider.id])
        network.run(for: .seconds(60))
        #expect(network.providers(of: keys(5)[0], by: network.peers[0]) == [])
    }

    /// In a network larger than K, records are at the K closest peers, are found there, and live while they are
    /// provided.
    @Test func sixtyNodesFindProvider() throws {
        let generator = SeededGenerator()
        var network = VirtualNetwork(generator)
        network.latency = .milliseconds(5)
        try network.add(0..<60) { $0.routingTable.refreshInterval = .seconds(36_000) }
        let provider = network.peers[17]
        network.run(for: .seconds(20))
        let keys = keys(400)
        network.change(provider.id) { $0.provide(keys, now: $1) }
        network.run(for: .seconds(5))
        let lookups = network.machines[provider.id]?.statistics.regionLookups ?? 0
        // One or two lookups for each region of 20 or more peers, not one for each key.
        #expect(lookups < 40, "seed \(generator.seed)")
        for key in keys {
            let (right, all) = holders(of: key, network, except: provider)
            #expect(right == 20 && all <= 20, "seed \(generator.seed)")
        }
        for (index, peer) in network.peers.enumerated() where peer != provider {
            #expect(network.providers(of: keys[index], by: peer, limit: 1) == [provider.id], "seed \(generator.seed)")
        }
        // One more key is found within 100 ms.
        network.change(provider.id) { $0.provide([Key("new")], now: $1) }
        network.run(for: .milliseconds(100))
        #expect(holders(of: Key("new"), network, except: provider).right == 20, "seed \(generator.seed)")
        // Two intervals later all records still exist, at a low cost.
        let before = network.machines[provider.id]?.statistics ?? KademliaStatistics()
        for _ in 0..<22 {
            network.run(for: .seconds(60))
            let held = holders(of: keys[network.sentMessages % keys.count], network, except: provider)
            #expect(held.right == 20, "seed \(generator.seed)")
        }
        let after = network.machines[provider.id]?.statistics ?? KademliaStatistics()
        // Single lookups of 401 keys would take 401 lookups each time, of about 20 requests and 20 messages each.
        #expect(after.regionLookups - before.regionLookups < 401 * 2 / 2, "seed \(generator.seed)")
        #expect(after.updatesSent - before.updatesSent < 401 * 2 * 20 / 2, "seed \(generator.seed)")
        // Withdrawn within a second.
        network.change(provider.id) { $0.stopProviding(keys.prefix(10), now: $1) }
        network.run(for: .seconds(1))
        for key in keys.prefix(10) {
            #expect(holders(of: key, network, except: provider).all == 0, "seed \(generator.seed)")
        }
        network.change(provider.id) { $0.leave(now: $1) }
        network.run(for: .seconds(2))
        #expect(network.machines[provider.id]?.hasLeft == true)
        for key in keys { #expect(holders(of: key, network, except: provider).all == 0, "seed \(generator.seed)") }
    }

    /// Replies come from machines that keep dying or falling silent.
    @Test func lookupsEndDespiteDeadAndSilentPeers() throws {
        var generator = SeededGenerator()
        var network = VirtualNetwork(generator)
        try network.add(0..<40) { $0.routingTable.refreshInterval = .seconds(36_000) }
        let provider = network.peers[0]
        network.change(provider.id) { $0.provide(keys(20), now: $1) }
        network.run(for: .seconds(5))
        let victims = network.peers.dropFirst().shuffled(using: &generator)
        for peer in victims.prefix(8) { network.kill(peer) }
        for peer in victims.dropFirst(8).prefix(8) { network.silent.insert(peer.id) }
        let alive = victims.dropFirst(16)
        for (index, peer) in alive.enumerated() {
            let found = network.providers(of: keys(20)[index % 20], by: peer, limit: 1)
            #expect(found == [provider.id], "seed \(generator.seed)")
            #expect(network.machines[peer.id]?.activeSearchCount == 0)
        }
    }
}
