internal import Kademlia
internal import Multiformats
import Time

/// How nodes come and go.
extension SimulatedNetwork {
    /// How a node goes.
    public enum Departure: Sendable {
        /// It takes its records back, and closes its connections.
        case clean
        /// As when its machine loses power: others find out by themselves.
        case vanishing
    }

    /// How many nodes are up.
    public var size: Int { up.count }

    /// Starts nodes one after another at random moments, so many a second, each by way of nodes that are up already.
    ///
    /// It takes about `count / rate` seconds of virtual time, which this method lets pass.
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

    /// Starts a node that nobody knows yet.
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

    /// How long a node that is told to stop has for taking its records back.
    private static let timeToLeave = Duration.seconds(2)

    /// Ends a node that has taken its leave: its connections are closed, and others notice.
    func drop(_ node: Int32) {
        end(node)
        for peer in nodes[Int(node)].connections.keys.sorted() {
            queue.push(.disconnected(node, from: peer), at: now + settings.model.latency(using: &random))
        }
        nodes[Int(node)].connections = [:]
    }

    private func end(_ node: Int32) {
        nodes[Int(node)].isUp = false
        // What it knew takes up memory.
        nodes[Int(node)].machine = makeMachine(nodes[Int(node)].info)
    }

    private func makeMachine(_ info: PeerInfo) -> KademliaMachine {
        KademliaMachine(localPeer: info.id, configuration: settings.kademlia, seed: random.next(), now: now)
    }

    /// Looks at the bootstrap source, which names all nodes that are up, and dials some that are not known.
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

    // MARK: - Trouble

    /// Replaces nodes at random moments by new ones with other ids and other content, until the network is dropped.
    ///
    /// - Parameter share: the share of all nodes that is replaced in a minute.
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

    /// Puts each node on one of two sides, which means nothing until ``cut()``.
    public func divide(share: Double) {
        for node in up.sorted() { nodes[Int(node)].side = random.unit() < share ? 1 : 0 }
    }

    /// From now on the nodes of one side cannot reach those of the other.
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

    /// Turns nodes into attackers, all of which know each other.
    ///
    /// - Parameters:
    ///   - share: the share of all nodes, which is divided evenly among the behaviours.
    ///   - behaviours: what they do.
    public func corrupt(share: Double, _ behaviours: [Behaviour]) {
        let chosen = up.sorted().shuffled(using: &random).prefix(Int((share * Double(size)).rounded()))
        for (index, node) in chosen.enumerated() { nodes[Int(node)].behaviour = behaviours[index % behaviours.count] }
        adversary = Adversary(
            accomplices: chosen.map { nodes[Int($0)].info },
            invented: (0..<max(1024, 16 * size)).map { identities.peer(Identities.firstInvented + $0) }
        )
    }
}
