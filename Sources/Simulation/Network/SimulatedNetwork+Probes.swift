internal import Kademlia
internal import Multiformats
import Time

/// Content that one node provides.
struct SimulatedKey {
    let key: Key
    let provider: Int32
    let provided: MonotonicTime
}

/// A lookup whose outcome is measured: a node seeks a key that another provides.
struct Probe {
    let node: Int32
    let key: Key
    /// Nil for a key that nobody provides.
    let provider: Int32?
    let started: MonotonicTime
    /// When the first provider was found that has the content.
    var succeeded: MonotonicTime?
    /// When the search ended.
    var ended: MonotonicTime?
    /// The providers found before that one.
    var falseProviders = 0
    var hops = 0
    var requests = 0
}

/// Keys, and lookups for them.
extension SimulatedNetwork {
    // MARK: - Keys

    /// Has a node provide so many keys that nobody else provides.
    func provide(_ count: Int, by node: Int32) {
        guard count > 0, nodes[Int(node)].isUp else { return }
        let first = keys.count
        for number in first..<(first + count) {
            let key = Key("simulated content \(settings.seed)/\(number)")
            keys.append(SimulatedKey(key: key, provider: node, provided: now))
        }
        nodes[Int(node)].keys += Array(first..<(first + count))
        let added = keys[first...].map(\.key)
        withMachine(node) { $0.provide(added, now: now) }
    }

    /// Has nodes provide keys, each its own.
    ///
    /// - Parameter providers: how many nodes do; nil for all.
    public func provide(keysPerNode count: Int, providers: Int? = nil) {
        let all = up.sorted()
        let chosen = providers.map { Array(all.shuffled(using: &random).prefix($0)) } ?? all
        for node in chosen { provide(count, by: node) }
    }

    // MARK: - Lookups

    /// Has a node seek a key.
    ///
    /// - Parameters:
    ///   - provider: who provides it, if anybody does.
    ///   - wanted: how many providers it asks for; nil for what the settings say.
    func probe(_ key: Key, of provider: Int32?, by node: Int32, wanted: Int? = nil) {
        let (index, limit) = (Int(node), wanted ?? settings.providersWanted)
        guard nodes[index].isUp else { return }
        let search = nodes[index].machine.findProviders(key, limit: limit, now: now)
        nodes[index].searches[search] = probes.count
        probes.append(Probe(node: node, key: key, provider: provider, started: now))
        drain(node)
    }

    /// A key and a node that may be expected to find it: the key was provided long enough ago by a node that is up, and
    /// the other is up for as long. Nil if chance does not hit on such a pair.
    ///
    /// - Parameter isWanted: whether the provider and the seeker make a pair of interest.
    func randomPair(
        age: Duration,
        isWanted: (SimulatedNode, SimulatedNode) -> Bool = { _, _ in true }
    ) -> (key: Int, node: Int32)? {
        guard !keys.isEmpty, up.count > 1 else { return nil }
        for _ in 0..<1000 {
            let key = random.below(keys.count)
            let node = up[random.below(up.count)]
            let provider = nodes[Int(keys[key].provider)]
            let seeker = nodes[Int(node)]
            guard keys[key].provider != node, provider.isUp, keys[key].provided + age <= now else { continue }
            guard seeker.started + age <= now, provider.behaviour == .honest, seeker.behaviour == .honest else {
                continue
            }
            if isWanted(provider, seeker) { return (key, node) }
        }
        return nil
    }

    /// Starts lookups of random keys by random nodes at random moments, and lets the time pass.
    ///
    /// - Parameters:
    ///   - age: how long keys must have been provided, and nodes have been up.
    ///   - wanted: how many providers a lookup asks for; nil for what the settings say.
    ///   - isWanted: whether the provider and the seeker make a pair of interest.
    func probe(
        perSecond rate: Double,
        for duration: Duration,
        age: Duration = .seconds(30),
        wanted: Int? = nil,
        isWanted: @escaping (SimulatedNode, SimulatedNode) -> Bool = { _, _ in true }
    ) {
        repeatedly(perSecond: rate, for: duration) { network in
            guard let (key, node) = network.randomPair(age: age, isWanted: isWanted) else { return }
            network.probe(network.keys[key].key, of: network.keys[key].provider, by: node, wanted: wanted)
        }
    }

    /// The same for keys that nobody provides.
    func probeUnknown(perSecond rate: Double, for duration: Duration) {
        repeatedly(perSecond: rate, for: duration) { network in
            let node = network.up[network.random.below(network.up.count)]
            network.probe(Key("nobody has this \(network.probeCount)"), of: nil, by: node)
        }
    }

    /// Seeks every key once, from a random node on the other side than its provider, and lets the time pass.
    func probeEveryKey(within duration: Duration) {
        var next = 0
        repeatedly(perSecond: Double(keys.count) / (duration / .seconds(1)) * 1.2, for: duration) { network in
            guard next < network.keys.count else { return }
            let key = network.keys[next]
            next += 1
            let provider = network.nodes[Int(key.provider)]
            let seekers = network.up.sorted().filter { network.nodes[Int($0)].side != provider.side }
            guard provider.isUp, !seekers.isEmpty else { return }
            network.probe(key.key, of: key.provider, by: seekers[network.random.below(seekers.count)])
        }
    }

    private func repeatedly(
        perSecond rate: Double,
        for duration: Duration,
        _ action: @escaping (SimulatedNetwork) -> Void
    ) {
        let end = now + duration
        repeating(after: .zero) { network in
            guard network.now < end else { return nil }
            action(network)
            return .seconds(network.random.exponential(mean: 1 / rate))
        }
        run(for: duration)
    }

    func found(_ provider: PeerInfo, _ search: KademliaMachine.SearchID, by node: Int32) {
        guard let probe = nodes[Int(node)].searches[search] else { return }
        // The mirror asks the provider for the content: there and back.
        let latency = settings.model.latency(using: &random) + settings.model.latency(using: &random)
        if let sought = probes[probe].provider, provider.id == nodes[Int(sought)].info.id {
            if probes[probe].succeeded == nil { probes[probe].succeeded = now }
            return
        }
        if probes[probe].succeeded == nil { probes[probe].falseProviders += 1 }
        queue.push(.tried(provider, probe: probe), at: now + latency)
    }

    /// A mirror has asked a provider for content that it does not have.
    func tried(_ provider: PeerInfo, _ probe: Int) {
        let key = probes[probe].key
        withMachine(probes[probe].node) { $0.reportMissing(provider.id, for: key, now: now) }
    }

    func searchEnded(_ search: KademliaMachine.SearchID, _ summary: SearchSummary, by node: Int32) {
        guard let probe = nodes[Int(node)].searches.removeValue(forKey: search) else { return }
        probes[probe].ended = now
        probes[probe].hops = summary.hops
        probes[probe].requests = summary.requests
    }
}
