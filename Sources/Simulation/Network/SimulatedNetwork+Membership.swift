internal import Kademlia
internal import Multiformats
import Time

/// Joining and leaving of nodes.
extension SimulatedNetwork {
    /// The way in which a node leaves.
    public enum Departure: Sendable {
        /// It withdraws its records and closes its connections.
        case clean
        /// It vanishes like after a power failure. Others find out by themselves.
        case vanishing
    }

    /// The number of nodes that are up.
    public var size: Int { up.count }

    /// Starts nodes at random moments at a given rate, each by way of nodes that are up already.
    ///
    /// Runs for about `count / rate` seconds of virtual time.
    public func form(_ count: Int, joinsPerSecond rate: Double = 100) {
        repeating(after: .seconds(60)) { network in
            network.closeIdleConnections()
            return .seconds(60)
        }
        var remaining = count
        var isDone = false
        repeating(after: .zero) { network in
            network.start()
            remaining -= 1
            isDone = remaining <= 0
            return isDone ? nil : .seconds(network.random.exponential(mean: 1 / rate))
        }
        while !isDone { run(for: .seconds(1)) }
    }

    /// Starts an unknown node.
    @discardableResult
    func start() -> Int32 {
        let number = Int32(nodes.count)
        let info = identities.peer(Int(number))
        var machine = makeMachine(info)
        machine.setLocalAddresses(info.addresses, now: now)
        let position = KeySpacePosition(hashing: info.id.bytes)
        nodes.append(SimulatedNode(info: info, position: position, machine: machine, started: now))
        placeInUp[number] = up.count
        up.append(number)
        drain(number)
        seek(number)
        return number
    }

    /// Ends a node.
    func stop(_ node: Int32, _ departure: Departure) {
        guard nodes[Int(node)].isUp, let place = placeInUp.removeValue(forKey: node) else { return }
        if let last = up.popLast(), last != node {
            up[place] = last
            placeInUp[last] = place
        }
        nodes[Int(node)].searches = [:]
        switch departure {
        case .clean:
            withMachine(node) { $0.leave(now: now) }
            queue.push(.left(node), at: now + Self.timeToLeave)
        case .vanishing:
            end(node)
            for peer in nodes[Int(node)].connections.keys.sorted() { notice(lossOf: node, by: peer) }
            nodes[Int(node)].connections = [:]
        }
    }

    /// The time limit of a leaving node for withdrawing its records.
    private static let timeToLeave = Duration.seconds(2)

    /// Ends a node after its departure: closes its connections, which others notice.
    func drop(_ node: Int32) {
        end(node)
        for peer in nodes[Int(node)].connections.keys.sorted() {
            queue.push(.disconnected(node, from: peer), at: now + settings.model.latency(using: &random))
        }
        nodes[Int(node)].connections = [:]
    }

    private func end(_ node: Int32) {
        nodes[Int(node)].isUp = false
        // Releases the memory of its state.
        nodes[Int(node)].machine = makeMachine(nodes[Int(node)].info)
    }

    private func makeMachine(_ info: PeerInfo) -> KademliaMachine {
        KademliaMachine(localPeer: info.id, configuration: settings.kademlia, seed: random.next(), now: now)
    }

    /// Reads the bootstrap source, which has all nodes that are up, and dials some unknown ones.
    func seek(_ node: Int32) {
        guard placeInUp[node] != nil else { return }
        for _ in 0..<settings.bootstrapDials {
            guard up.count > 1 else { break }
            let peer = up[random.below(up.count)]
            guard nodes[Int(node)].connections[peer] == nil else { continue }
            _ = connect(node, peer)
        }
        let isLonely = nodes[Int(node)].machine.table.count == 0
        let interval = isLonely ? settings.lonelyInterval * (0.5 + random.unit() / 2) : settings.bootstrapInterval
        queue.push(.seek(node), at: now + interval)
    }

    // MARK: - Faults

    /// Replaces nodes at random moments by new ones with new ids and content, until the network is released.
    ///
    /// - Parameter share: the share of nodes to replace per minute.
    public func churn(share: Double, keysPerNode: Int, _ departure: Departure) {
        guard share > 0 else { return }
        let step: (SimulatedNetwork) -> Duration = { network in
            .seconds(network.random.exponential(mean: 60 / (share * Double(max(network.size, 1)))))
        }
        repeating(after: step(self)) { network in
            network.stop(network.up[network.random.below(network.up.count)], departure)
            network.provide(keysPerNode, by: network.start())
            return step(network)
        }
    }

    /// Assigns each node to one of two sides for ``cut()``.
    public func divide(share: Double) {
        for node in up.sorted() { nodes[Int(node)].side = random.unit() < share ? 1 : 0 }
    }

    /// Cuts the network: nodes of one side can no longer reach those of the other.
    public func cut() {
        isSplit = true
        for node in up.sorted() {
            for peer in nodes[Int(node)].connections.keys.sorted() where !canReach(peer, from: node) {
                notice(lossOf: peer, by: node)
            }
        }
    }

    /// Ends ``cut()``.
    public func heal() {
        isSplit = false
    }

    /// Turns nodes into attackers that know each other.
    ///
    /// - Parameters:
    ///   - share: the share of all nodes, divided evenly among the behaviours.
    ///   - behaviours: the behaviours.
    public func corrupt(share: Double, _ behaviours: [Behaviour]) {
        let chosen = up.sorted().shuffled(using: &random).prefix(Int((share * Double(size)).rounded()))
        for (index, node) in chosen.enumerated() { nodes[Int(node)].behaviour = behaviours[index % behaviours.count] }
        adversary = Adversary(
            accomplices: chosen.map { nodes[Int($0)].info },
            invented: (0..<max(1024, 16 * size)).map { identities.peer(Identities.firstInvented + $0) }
        )
    }
}
