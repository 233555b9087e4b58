public import Kademlia
internal import Multiformats
import Time

/// A network of real ``KademliaMachine`` values in virtual time.
///
/// The settings and the seed determine everything: the same seed gives the same run.
public final class SimulatedNetwork {
    /// The settings of a network.
    public struct Settings: Sendable {
        /// The seed of all randomness.
        public var seed: UInt64 = 1
        /// The settings of each node.
        public var kademlia = KademliaConfiguration()
        /// The transport of messages.
        public var model = NetworkModel()
        /// The interval at which a node reads the bootstrap source while it knows a peer.
        public var bootstrapInterval: Duration = .seconds(30)
        /// The maximum interval while a node knows no peer.
        public var lonelyInterval: Duration = .seconds(1)
        /// The number of unknown addresses that a node dials each time.
        public var bootstrapDials = 3
        /// The number of providers that a lookup finds, as in a mirror by default.
        public var providersWanted = 3

        /// The defaults of the program.
        public init() {}
    }

    enum Event {
        case request(Message, KademliaMachine.OperationID, from: Int32, to: Int32)
        case reply(Message, KademliaMachine.OperationID, from: Int32, to: Int32)
        case update(RecordUpdate, KademliaMachine.OperationID, from: Int32, to: Int32)
        case sent(KademliaMachine.OperationID, Int32)
        case failed(KademliaMachine.OperationID, Int32)
        case timer(Int32)
        case seek(Int32)
        case identified(Int32, Int32)
        case disconnected(Int32, from: Int32)
        case left(Int32)
        case tried(PeerInfo, probe: Int)
        case recurring(Int)
    }

    /// The network's settings.
    public let settings: Settings
    /// The virtual time.
    public internal(set) var now = MonotonicTime.zero
    /// The number of handled events.
    public internal(set) var eventCount = 0

    var nodes: [SimulatedNode] = []
    var queue = EventQueue<Event>()
    var random: SimulationRandom
    let identities: Identities
    /// The numbers of the nodes that are up, in no particular order, and the index of each.
    var up: [Int32] = []
    var placeInUp: [Int32: Int] = [:]
    /// All keys that were ever provided.
    var keys: [SimulatedKey] = []
    var probes: [Probe] = []
    var isSplit = false
    var adversary: Adversary?
    var recurring: [(SimulatedNetwork) -> Duration?] = []
    /// The number of timers that a machine set again for the same time.
    var stalledTimers = 0

    /// A network without nodes.
    public init(settings: Settings = Settings()) {
        self.settings = settings
        random = SimulationRandom(seed: settings.seed)
        identities = Identities(seed: SimulationRandom.mix(settings.seed))
    }

    // MARK: - Time

    /// Runs for some time.
    public func run(for duration: Duration) {
        let end = now + duration
        while let next = queue.nextTime, next <= end, let (time, event) = queue.pop() {
            now = time
            eventCount += 1
            handle(event)
        }
        now = end
    }

    /// Runs an action after some time, and again after the returned time, until it returns `nil`.
    func repeating(after first: Duration, _ action: @escaping (SimulatedNetwork) -> Duration?) {
        recurring.append(action)
        queue.push(.recurring(recurring.count - 1), at: now + first)
    }

    private func handle(_ event: Event) {
        switch event {
        case .request(let message, let operation, let sender, let receiver):
            deliver(message, operation, from: sender, to: receiver)
        case .reply(let message, let operation, let sender, let receiver):
            noteUse(of: sender, by: receiver)
            withMachine(receiver) { $0.received(message, for: operation, now: now) }
        case .update(let update, let operation, let sender, let receiver):
            deliver(update, operation, from: sender, to: receiver)
        case .sent(let operation, let node): withMachine(node) { $0.sent(operation, now: now) }
        case .failed(let operation, let node): withMachine(node) { $0.failed(operation, now: now) }
        case .timer(let node): fireTimer(of: node)
        case .seek(let node): seek(node)
        case .identified(let node, let peer): identified(node, peer)
        case .disconnected(let peer, let node): disconnected(peer, from: node)
        case .left(let node): drop(node)
        case .tried(let provider, let probe): tried(provider, probe)
        case .recurring(let index):
            if let wait = recurring[index](self) { queue.push(.recurring(index), at: now + wait) }
        }
    }

    // MARK: - Machines

    /// Passes an input to a node's machine, then carries out its actions. Does nothing if the node is down.
    func withMachine(_ node: Int32, _ input: (inout KademliaMachine) -> Void) {
        let index = Int(node)
        guard nodes[index].isUp else { return }
        input(&nodes[index].machine)
        drain(node)
    }

    func drain(_ node: Int32) {
        let index = Int(node)
        while nodes[index].isUp, let action = nodes[index].machine.nextAction() {
            switch action {
            case .request(let operation, let message, let peer): request(operation, message, from: node, to: peer)
            case .send(let operation, let update, let peer): send(operation, update, from: node, to: peer)
            case .cancel: break
            case .found(let search, let provider): found(provider, search, by: node)
            case .searchEnded(let search, let summary): searchEnded(search, summary, by: node)
            case .searchStarted, .recordAdded: break
            }
        }
        if !nodes[index].hasJoined, nodes[index].machine.table.count > 0 {
            nodes[index].hasJoined = true
            withMachine(node) { $0.bootstrap(now: now) }
            return
        }
        scheduleTimer(of: node)
    }

    private func scheduleTimer(of node: Int32) {
        let index = Int(node)
        guard nodes[index].isUp, let deadline = deadline(of: &nodes[index].machine) else { return }
        if let timer = nodes[index].timer, timer <= deadline { return }
        nodes[index].timer = deadline
        queue.push(.timer(node), at: max(deadline, now))
    }

    /// `inout` avoids a copy of the whole machine.
    private func deadline(of machine: inout KademliaMachine) -> MonotonicTime? { machine.nextDeadline }

    private func fireTimer(of node: Int32) {
        let index = Int(node)
        // Only the last scheduled event counts.
        guard let timer = nodes[index].timer, timer <= now else { return }
        nodes[index].timer = nil
        withMachine(node) { $0.advance(to: now) }
        guard let next = nodes[index].timer, next <= now else { return }
        // The machine has done its due work and sets the timer again. Time must go on all the same.
        stalledTimers += 1
        nodes[index].timer = now + .milliseconds(1)
        queue.push(.timer(node), at: now + .milliseconds(1))
    }
}
