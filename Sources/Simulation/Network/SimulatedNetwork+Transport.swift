internal import Kademlia
internal import Multiformats
import Time

/// The transport of messages between nodes.
extension SimulatedNetwork {
    /// The state of the path to a peer.
    private enum Path {
        /// The message may leave at this time.
        case open(to: Int32, from: MonotonicTime)
        /// The peer is unreachable, which is known at this time.
        case closed(known: MonotonicTime)
        /// There is a connection whose other end is gone. The machine's own deadline ends the wait.
        case dead
    }

    func request(_ operation: KademliaMachine.OperationID, _ message: Message, from node: Int32, to peer: PeerInfo) {
        nodes[Int(node)].traffic.requests += 1
        dispatch(operation, bytes: message.estimatedSize, from: node, to: peer) {
            .request(message, operation, from: node, to: $0)
        }
    }

    func send(_ operation: KademliaMachine.OperationID, _ update: RecordUpdate, from node: Int32, to peer: PeerInfo) {
        nodes[Int(node)].traffic.updates += 1
        nodes[Int(node)].traffic.records += update.keys.count
        dispatch(operation, bytes: update.estimatedSize, from: node, to: peer) {
            .update(update, operation, from: node, to: $0)
        }
    }

    private func dispatch(
        _ operation: KademliaMachine.OperationID,
        bytes: Int,
        from node: Int32,
        to peer: PeerInfo,
        _ event: (Int32) -> Event
    ) {
        switch path(from: node, to: peer) {
        case .closed(let time): queue.push(.failed(operation, node), at: time)
        case .dead: break
        case .open(let receiver, let earliest):
            guard let arrival = arrival(of: bytes, from: node, notBefore: earliest) else { return }
            queue.push(event(receiver), at: arrival)
        }
    }

    /// The arrival time of bytes that the node sends now; `nil` if they never arrive.
    private func arrival(of bytes: Int, from node: Int32, notBefore earliest: MonotonicTime) -> MonotonicTime? {
        let size = bytes + NetworkModel.bytesAroundMessage
        nodes[Int(node)].traffic.bytes += size
        let start = max(earliest, nodes[Int(node)].uplinkFree)
        let departure = start + settings.model.transmission(bytes: size)
        nodes[Int(node)].uplinkFree = departure
        return settings.model.transit(using: &random).map { departure + $0 }
    }

    // MARK: - Delivery

    func deliver(_ message: Message, _ operation: KademliaMachine.OperationID, from sender: Int32, to receiver: Int32) {
        guard canReach(receiver, from: sender), nodes[Int(receiver)].behaviour != .silent else { return }
        noteUse(of: sender, by: receiver)
        let asker = nodes[Int(sender)].info.id
        var answer: Message?
        withMachine(receiver) { answer = $0.handle(message, from: asker, now: now) }
        guard var answer else { return }
        if nodes[Int(receiver)].behaviour != .honest, let adversary {
            answer = adversary.answer(of: nodes[Int(receiver)], to: message, honest: answer)
        }
        nodes[Int(receiver)].traffic.replies += 1
        let departure = now + settings.model.handlingTime
        guard let arrival = arrival(of: answer.estimatedSize, from: receiver, notBefore: departure) else { return }
        queue.push(.reply(answer, operation, from: receiver, to: sender), at: arrival)
    }

    func deliver(
        _ update: RecordUpdate,
        _ operation: KademliaMachine.OperationID,
        from sender: Int32,
        to receiver: Int32
    ) {
        guard canReach(receiver, from: sender), nodes[Int(receiver)].behaviour != .silent else { return }
        noteUse(of: sender, by: receiver)
        let peer = nodes[Int(sender)].info.id
        withMachine(receiver) { $0.handle(update, from: peer, now: now) }
        // The end of the stream takes a latency to come back, but is no message.
        let latency = settings.model.latency(using: &random)
        queue.push(.sent(operation, sender), at: now + settings.model.handlingTime + latency)
    }

    // MARK: - Connections

    /// Whether packets from one node reach the other now.
    func canReach(_ receiver: Int32, from sender: Int32) -> Bool {
        nodes[Int(receiver)].isUp && (!isSplit || nodes[Int(receiver)].side == nodes[Int(sender)].side)
    }

    private func path(from node: Int32, to peer: PeerInfo) -> Path {
        guard let number = Identities.number(of: peer.id), nodes.indices.contains(number) else {
            nodes[Int(node)].traffic.dials += 1
            return .closed(known: now + settings.model.dialTimeout)
        }
        let receiver = Int32(number)
        if let used = nodes[Int(node)].connections[receiver] {
            guard canReach(receiver, from: node) else { return .dead }
            if nodes[Int(receiver)].connections[node] != nil {
                noteUse(of: receiver, by: node)
                return .open(to: receiver, from: max(used, now))
            }
            // The other side has dropped the connection while it was unreachable.
            nodes[Int(node)].connections[receiver] = nil
        }
        guard let established = connect(node, receiver) else {
            return .closed(known: now + settings.model.dialTimeout)
        }
        return .open(to: receiver, from: established)
    }

    /// Opens a connection. Both sides identify each other when it is established.
    ///
    /// - Returns: the time of that; `nil` if the peer is unreachable.
    func connect(_ node: Int32, _ peer: Int32) -> MonotonicTime? {
        nodes[Int(node)].traffic.dials += 1
        guard node != peer, canReach(peer, from: node) else { return nil }
        if let established = nodes[Int(node)].connections[peer] { return max(established, now) }
        let established = now + settings.model.handshake(using: &random)
        nodes[Int(node)].traffic.bytes += NetworkModel.bytesOfHandshake / 2
        nodes[Int(peer)].traffic.bytes += NetworkModel.bytesOfHandshake / 2
        nodes[Int(node)].connections[peer] = established
        nodes[Int(peer)].connections[node] = established
        let known = established + settings.model.latency(using: &random)
        queue.push(.identified(node, peer), at: known)
        queue.push(.identified(peer, node), at: known)
        return established
    }

    /// Keeps a connection from being closed as unused.
    func noteUse(of peer: Int32, by node: Int32) {
        guard let used = nodes[Int(node)].connections[peer], used < now else { return }
        nodes[Int(node)].connections[peer] = now
        // While a node is cut off, its own end of the connection may be closed already.
        if nodes[Int(peer)].connections[node] != nil { nodes[Int(peer)].connections[node] = now }
    }

    func identified(_ node: Int32, _ peer: Int32) {
        guard nodes[Int(node)].connections[peer] != nil, canReach(peer, from: node) else { return }
        let info = nodes[Int(peer)].info
        withMachine(node) { $0.peerAppeared(info, now: now) }
    }

    /// Closes a node's own side of a connection, and reports it to its machine.
    func disconnected(_ peer: Int32, from node: Int32) {
        // A peer that has become reachable again answers the keep-alive.
        guard nodes[Int(node)].connections[peer] != nil else { return }
        if canReach(peer, from: node), nodes[Int(peer)].connections[node] != nil { return }
        nodes[Int(node)].connections[peer] = nil
        let id = nodes[Int(peer)].info.id
        withMachine(node) { $0.peerGone(id, now: now) }
    }

    /// Schedules the node's detection of a lost peer by its keep-alive.
    func notice(lossOf peer: Int32, by node: Int32) {
        let wait = settings.model.keepAliveTimeout + settings.model.keepAliveInterval * random.unit()
        queue.push(.disconnected(peer, from: node), at: now + wait)
    }

    /// Closes connections that were unused for too long.
    func closeIdleConnections() {
        for node in up {
            let limit = now + (.zero - settings.model.idleTimeout)
            let idle = nodes[Int(node)].connections.filter { $0.value <= limit }.keys.sorted()
            for peer in idle where nodes[Int(node)].connections.removeValue(forKey: peer) != nil {
                nodes[Int(peer)].connections[node] = nil
                let (id, peerID) = (nodes[Int(node)].info.id, nodes[Int(peer)].info.id)
                withMachine(node) { $0.peerGone(peerID, now: now) }
                withMachine(peer) { $0.peerGone(id, now: now) }
            }
        }
    }
}
