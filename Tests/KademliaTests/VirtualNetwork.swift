import Multiformats
import TestSupport
import Time

@testable import Kademlia

/// Machines with messages in virtual time: the same code as in a node, without tasks or waiting.
struct VirtualNetwork {
    private enum Event {
        case message(KademliaMachine.OperationID, Message, from: PeerID, to: PeerID)
        case update(KademliaMachine.OperationID, RecordUpdate, from: PeerID, to: PeerID)
        case reply(KademliaMachine.OperationID, Message?, from: PeerID, to: PeerID)
        case taken(KademliaMachine.OperationID, to: PeerID)
        case wake(PeerID)
    }

    struct SearchName: Hashable {
        var peer: PeerID
        var id: KademliaMachine.SearchID
    }

    private(set) var now = MonotonicTime.zero
    private(set) var peers: [PeerInfo] = []
    var machines: [PeerID: KademliaMachine] = [:]
    /// Unreachable peers: requests to them fail at once.
    var dead: Set<PeerID> = []
    /// Peers that accept messages and never reply.
    var silent: Set<PeerID> = []
    /// Peers with the DHT protocol only, like other implementations.
    var kadOnly: Set<PeerID> = []
    var latency = Duration.milliseconds(1)
    private(set) var found: [SearchName: [PeerInfo]] = [:]
    private(set) var summaries: [SearchName: SearchSummary] = [:]
    /// The number of sent requests and updates.
    private(set) var sentMessages = 0
    private var events = TimerQueue<Event>()
    private var wakes: [PeerID: MonotonicTime] = [:]
    private var met: Set<[PeerID]> = []
    private var generator: SeededGenerator

    init(_ generator: SeededGenerator) {
        self.generator = generator
    }

    // MARK: - Nodes

    @discardableResult
    mutating func add(_ number: Int, _ change: (inout KademliaConfiguration) -> Void = { _ in }) throws -> PeerInfo {
        let peer = try testPeer(number)
        var configuration = KademliaConfiguration()
        change(&configuration)
        var machine = KademliaMachine(
            localPeer: peer.id,
            configuration: configuration,
            seed: generator.next(),
            now: now
        )
        machine.setLocalAddresses(peer.addresses, now: now)
        machines[peer.id] = machine
        dead.remove(peer.id)
        if !peers.contains(peer) { peers.append(peer) }
        settle(peer.id)
        return peer
    }

    /// Adds nodes whose tables are those of a network that has run for a while.
    mutating func add(_ numbers: Range<Int>, _ change: (inout KademliaConfiguration) -> Void = { _ in }) throws {
        for number in numbers { try add(number, change) }
        for peer in peers {
            for other in peers.shuffled(using: &generator) where other != peer {
                self.change(peer.id) { $0.met(other, now: $1) }
            }
        }
    }

    /// Stops a node like a power failure.
    mutating func kill(_ peer: PeerInfo) {
        dead.insert(peer.id)
        machines[peer.id] = nil
        met = met.filter { !$0.contains(peer.id) }
    }

    /// Passes an input to a node.
    @discardableResult
    mutating func change<Result>(
        _ id: PeerID,
        _ body: (inout KademliaMachine, MonotonicTime) -> Result
    ) -> Result? {
        // Removed first, so that it is mutated in place.
        guard var machine = machines.removeValue(forKey: id) else { return nil }
        let result = body(&machine, now)
        machines[id] = machine
        settle(id)
        return result
    }

    // MARK: - Searches

    mutating func search(_ key: Key, by peer: PeerInfo, limit: Int = 5, isTraced: Bool = false) -> SearchName {
        let id = change(peer.id) { $0.findProviders(key, limit: limit, isTraced: isTraced, now: $1) }
        return SearchName(peer: peer.id, id: id ?? KademliaMachine.SearchID(number: 0))
    }

    /// Runs a search to its end, for at most a minute.
    mutating func providers(of key: Key, by peer: PeerInfo, limit: Int = 5) -> Set<PeerID> {
        let name = search(key, by: peer, limit: limit)
        let end = now + .seconds(60)
        while summaries[name] == nil, now < end, step(until: end) {}
        return Set((found[name] ?? []).map(\.id))
    }

    // MARK: - Time

    mutating func run(for duration: Duration) {
        let end = now + duration
        while step(until: end) {}
        now = end
    }

    /// Handles the next event.
    ///
    /// - Returns: `false` if there is none until `end`.
    mutating func step(until end: MonotonicTime) -> Bool {
        guard let (time, event) = events.first, time <= end else { return false }
        events.removeFirst()
        now = max(now, time)
        switch event {
        case .wake(let id):
            guard wakes[id] == time else { return true }
            wakes[id] = nil
            change(id) { $0.advance(to: $1) }
        case .message(let operation, let message, let sender, let id):
            meet(sender, id)
            guard !silent.contains(id) else { return true }
            let reply = change(id) { $0.handle(message, from: sender, now: $1) } ?? nil
            events.add(.reply(operation, dead.contains(id) ? nil : reply, from: id, to: sender), at: now + latency)
        case .update(let operation, let update, let sender, let id):
            meet(sender, id)
            guard !silent.contains(id) else { return true }
            if kadOnly.contains(id) {
                for message in update.messages {
                    change(id) { machine, now in _ = machine.handle(message, from: sender, now: now) }
                }
            } else {
                change(id) { $0.handle(update, from: sender, now: $1) }
            }
            if dead.contains(id) {
                events.add(.reply(operation, nil, from: id, to: sender), at: now + latency)
            } else {
                events.add(.taken(operation, to: sender), at: now + latency)
            }
        case .reply(let operation, let reply, _, let id):
            change(id) { machine, now in
                if let reply {
                    machine.received(reply, for: operation, now: now)
                } else {
                    machine.failed(operation, now: now)
                }
            }
        case .taken(let operation, let id):
            change(id) { $0.sent(operation, now: $1) }
        }
        return true
    }

    // As on a real connection, each side learns of the other, once.
    private mutating func meet(_ first: PeerID, _ second: PeerID) {
        guard machines[first] != nil, machines[second] != nil else { return }
        guard met.insert([min(first, second), max(first, second)]).inserted else { return }
        for (id, other) in [(first, second), (second, first)] {
            guard let info = peers.first(where: { $0.id == other }) else { continue }
            change(id) { $0.peerAppeared(info, now: $1) }
        }
    }

    private mutating func settle(_ id: PeerID) {
        while let action = machines[id]?.nextAction() {
            switch action {
            case .request(let operation, let message, let peer):
                sentMessages += 1
                events.add(.message(operation, message, from: id, to: peer.id), at: now + latency)
            case .send(let operation, let update, let peer):
                sentMessages += 1
                events.add(.update(operation, update, from: id, to: peer.id), at: now + latency)
            case .cancel, .searchStarted, .recordAdded: break
            case .found(let search, let provider): found[SearchName(peer: id, id: search), default: []].append(provider)
            case .searchEnded(let search, let summary): summaries[SearchName(peer: id, id: search)] = summary
            }
        }
        guard let deadline = machines[id]?.nextDeadline else { return }
        if let wake = wakes[id], wake <= deadline { return }
        wakes[id] = max(deadline, now)
        events.add(.wake(id), at: max(deadline, now))
    }
}
