import Kademlia
import Multiformats
import Testing

@testable import Simulation

/// Small networks of real nodes in virtual time.
struct NetworkTests {
    private func network(_ size: Int, seed: UInt64 = 1, keysPerNode: Int = 2) -> SimulatedNetwork {
        var settings = SimulatedNetwork.Settings()
        settings.seed = seed
        let network = SimulatedNetwork(settings: settings)
        network.form(size)
        network.run(for: .seconds(30))
        network.provide(keysPerNode: keysPerNode)
        network.run(for: .seconds(30))
        return network
    }

    @Test func smallNetworkHoldsAllRecordsOnAllNodes() {
        let network = network(10)
        network.probe(perSecond: 50, for: .seconds(4), age: .seconds(10))
        let figures = network.lookupFigures()
        #expect(figures.count > 100)
        #expect(figures.successes == figures.count)
        #expect(figures.messages.maximum == 0)
        #expect(figures.hops.maximum == 0)
        #expect(figures.latency.maximum == 0)
        #expect(network.recordsHeld.minimum == 18)
        #expect(network.recordsHeld.maximum == 18)
        #expect(network.tableQuality().closestKnown == 1)
    }

    @Test(arguments: [1, 2] as [UInt64])
    func largerNetworkFindsEveryKeyInFewHops(seed: UInt64) {
        let network = network(60, seed: seed)
        network.probe(perSecond: 30, for: .seconds(5), age: .seconds(10))
        let figures = network.lookupFigures()
        #expect(figures.count > 100, "seed \(seed)")
        #expect(figures.successes == figures.count, "seed \(seed)")
        #expect((1...5).contains(figures.hops.percentile(0.99) ?? 0), "seed \(seed)")
        #expect(network.tableQuality().closestKnown > 0.95, "seed \(seed)")
        // The K closest of the other nodes hold each key.
        #expect((2300...2600).contains(network.recordsHeld.sum), "seed \(seed)")
        #expect(network.keys.allSatisfy { network.holderCount(of: $0) >= 18 }, "seed \(seed)")
        #expect(network.stalledTimers == 0)
    }

    @Test func seedDeterminesRun() {
        func trace(seed: UInt64) -> [String] {
            let network = network(40, seed: seed)
            network.churn(share: 0.5, keysPerNode: 2, .vanishing)
            network.probe(perSecond: 10, for: .seconds(10), age: .seconds(5))
            let probes = network.probes.map {
                "\($0.node) \($0.started) \(String(describing: $0.ended)) \($0.requests)"
            }
            return ["\(network.eventCount) \(network.recordsHeld.sum) \(network.connectionCounts.sum)"] + probes
        }
        let first = trace(seed: 7)
        #expect(first.count > 30)
        #expect(trace(seed: 7) == first)
        #expect(trace(seed: 8) != first)
    }

    @Test func findsKeysWhileNodesVanish() {
        let network = network(50)
        network.churn(share: 0.1, keysPerNode: 2, .vanishing)
        network.probe(perSecond: 2, for: .seconds(120), age: .seconds(20))
        network.run(for: .seconds(15))
        let figures = network.lookupFigures()
        #expect(network.nodes.count > 53 && network.size == 50)
        #expect(figures.count > 120)
        #expect(figures.successRate >= 0.99)
    }

    @Test func nodeWithdrawsRecordsOnCleanDeparture() {
        let network = network(40)
        let leaver = network.up[3]
        let held = network.recordsHeld.sum
        network.stop(leaver, .clean)
        network.run(for: .seconds(3))
        #expect(network.size == 39)
        #expect(network.nodes[Int(leaver)].isUp == false)
        // Its own records are gone, and so are those that it held.
        let records = held - 2 * 20
        #expect((records - 70...records - 10).contains(network.recordsHeld.sum))
        let key = network.keys[network.nodes[Int(leaver)].keys[0]]
        for seeker in network.up { network.probe(key.key, of: leaver, by: seeker) }
        network.run(for: .seconds(2))
        #expect(network.probes.allSatisfy { $0.succeeded == nil && $0.ended != nil })
    }

    @Test func cutNetworkRecoversAfterHealing() {
        let network = network(40)
        network.divide(share: 0.5)
        network.cut()
        network.run(for: .seconds(120))
        network.probe(perSecond: 20, for: .seconds(5)) { $0.side != $1.side }
        network.run(for: .seconds(15))
        let before = network.lookupFigures()
        network.heal()
        network.run(for: .seconds(120))
        let first = network.probeCount
        network.probeEveryKey(within: .seconds(10))
        let after = network.lookupFigures(first..<network.probeCount)
        #expect(after.count == network.keys.count)
        #expect(after.successes == after.count)
        // The records from before the cut still exist, but not all their holders are reachable.
        #expect(before.count > 50)
        #expect(network.tableQuality().closestKnown > 0.9)
    }

    @Test(arguments: Behaviour.attacks)
    func honestNodesFindMostKeysDuringAttack(_ attack: Behaviour) {
        var settings = SimulatedNetwork.Settings()
        settings.seed = 3
        let network = SimulatedNetwork(settings: settings)
        network.form(50)
        network.run(for: .seconds(20))
        network.corrupt(share: 0.3, [attack])
        #expect(network.nodes.count { $0.behaviour == attack } == 15)
        network.provide(keysPerNode: 2)
        network.run(for: .seconds(60))
        let figures = network.figures(ofLookups: 150, unknown: false, requested: 20)
        #expect(figures.count > 80)
        #expect(figures.successRate >= (attack == .falseProviders ? 0.8 : 0.95))
        // The attack reaches the honest nodes.
        if attack == .falseProviders { #expect((figures.falseProviders.mean ?? 0) > 0) }
    }

    @Test func countsTrafficAtSender() {
        let network = network(30, keysPerNode: 1)
        let idle = network.traffic(for: .seconds(60))
        let busy = network.traffic(for: .seconds(60)) { $0.probe(perSecond: 50, for: .seconds(10), age: .seconds(5)) }
        let requests = network.probes.reduce(0) { $0 + $1.requests }
        #expect(requests > 0)
        let more = Double(busy.messages - idle.messages)
        #expect((1.5 * Double(requests)...2.5 * Double(requests)).contains(more))
        #expect(busy.kilobytesPerNodeMinute > idle.kilobytesPerNodeMinute)
    }
}

extension SimulatedNetwork {
    /// The number of honest nodes, except the provider, with the record of a key.
    func holderCount(of key: SimulatedKey) -> Int {
        let provider = nodes[Int(key.provider)].info.id
        let question = Message(kind: .getProviders, key: key.key.bytes)
        return up.count { node in
            guard node != key.provider, nodes[Int(node)].behaviour == .honest else { return false }
            var machine = nodes[Int(node)].machine
            let answer = machine.handle(question, from: provider, now: now)
            return answer?.providerPeers.contains { $0.info.id == provider } == true
        }
    }
}
