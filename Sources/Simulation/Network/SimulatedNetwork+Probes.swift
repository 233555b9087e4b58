internal import Kademlia
internal import Multiformats
import Time

/// A key with its provider.
struct SimulatedKey {
    let key: Key
    let provider: Int32
    let provided: MonotonicTime
}

/// A measured lookup: a node seeks a key of another node.
struct Probe {
    let node: Int32
    let key: Key
    /// `nil` for a key without a provider.
    let provider: Int32?
    let started: MonotonicTime
    /// When the first provider with the content was found.
    var succeeded: MonotonicTime?
    /// When the search ended.
    var ended: MonotonicTime?
    /// The number of providers without the content before that.
    var falseProviders = 0
    var hops = 0
    var requests = 0
}

/// Keys and measured lookups.
extension SimulatedNetwork {
    // MARK: - Keys

    /// Makes a node provide a number of new keys.
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

    /// Makes nodes provide keys of their own.
    ///
    /// - Parameter providers: the number of nodes; `nil` for all.
    public func provide(keysPerNode count: Int, providers: Int? = nil) {
        let all = up.sorted()
        let chosen = providers.map { Array(all.shuffled(using: &random).prefix($0)) } ?? all
        for node in chosen { provide(count, by: node) }
    }

    // MARK: - Lookups

    /// Makes a node look up a key.
    ///
    /// - Parameters:
    ///   - provider: the provider, if there is one.
    ///   - requested: the number of providers to find; by default that of the settings.
    func probe(_ key: Key, of provider: Int32?, by node: Int32, requested: Int? = nil) {
        let (index, limit) = (Int(node), requested ?? settings.providersWanted)
        guard nodes[index].isUp else { return }
        let search = nodes[index].machine.findProviders(key, limit: limit, now: now)
        nodes[index].searches[search] = probes.count
        probes.append(Probe(node: node, key: key, provider: provider, started: now))
        drain(node)
    }

    /// A key and a node that is expected to find it: both the provider and the node have been up for long enough, and
    /// the key was provided for as long. `nil` if no random try finds such a pair.
    ///
    /// - Parameter isWanted: whether a provider and a seeker qualify.
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

    /// Starts lookups of random keys by random nodes at random moments, and runs meanwhile.
    ///
    /// - Parameters:
    ///   - age: the minimum time that keys were provided and nodes were up.
    ///   - requested: the number of providers to find; by default that of the settings.
    ///   - isWanted: whether a provider and a seeker qualify.
    func probe(
        perSecond rate: Double,
        for duration: Duration,
        age: Duration = .seconds(30),
        requested: Int? = nil,
        isWanted: @escaping (SimulatedNode, SimulatedNode) -> Bool = { _, _ in true }
    ) {
        repeatedly(perSecond: rate, for: duration) { network in
            guard let (key, node) = network.randomPair(age: age, isWanted: isWanted) else { return }
            network.probe(network.keys[key].key, of: network.keys[key].provider, by: node, requested: requested)
        }
    }

    /// Starts lookups of keys without a provider.
    func probeUnknown(perSecond rate: Double, for duration: Duration) {
        repeatedly(perSecond: rate, for: duration) { network in
            let node = network.up[network.random.below(network.up.count)]
            network.probe(Key("missing \(network.probeCount)"), of: nil, by: node)
        }
    }

    /// Looks up every key once, from a random node on the other side than its provider, and runs meanwhile.
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
        // The mirror requests the content from the provider: one round trip.
        let latency = settings.model.latency(using: &random) + settings.model.latency(using: &random)
        if let sought = probes[probe].provider, provider.id == nodes[Int(sought)].info.id {
            if probes[probe].succeeded == nil { probes[probe].succeeded = now }
            return
        }
        if probes[probe].succeeded == nil { probes[probe].falseProviders += 1 }
        queue.push(.tried(provider, probe: probe), at: now + latency)
    }

    /// Handles a mirror's request to a provider that does not have the content.
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
