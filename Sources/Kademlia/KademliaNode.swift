public import Logging
public import Multiformats
internal import Synchronization
import Time

/// A node of the DHT: it serves other nodes, maintains its routing table, advertises its own keys and finds providers.
///
/// ``KademliaMachine`` makes all decisions. This class feeds it messages and time, and carries out its actions in tasks
/// over a ``KademliaTransport``. Without ``run()`` it only serves other nodes.
public final class KademliaNode: Sendable {
    /// The id of this node.
    public let localPeer: PeerID
    /// The settings.
    public let configuration: KademliaConfiguration

    let environment: KademliaEnvironment
    let state: Mutex<State>
    private let localAddresses: @Sendable () -> [Multiaddr]
    private let transport: any KademliaTransport
    private let logger: Logger
    private let onRecordAdded: (@Sendable (KeySpacePosition, PeerInfo) -> Void)?

    /// How often the node's own addresses are read. Without any, they are read at each input.
    private static let addressInterval = Duration.seconds(30)

    enum Phase {
        case idle, running, closed
    }

    /// The callbacks of a search.
    public struct ProviderListener: Sendable {
        /// Called once, when the search has its place; never when the search is turned away.
        public var began: @Sendable () -> Void
        /// Called with each provider once.
        public var found: @Sendable (PeerInfo) -> Void
        /// Called at the end, also after a cancellation.
        public var ended: @Sendable () -> Void

        /// Creates a listener. The functions are called from any thread, one at a time, and must return at once.
        public init(
            began: @escaping @Sendable () -> Void = {},
            found: @escaping @Sendable (PeerInfo) -> Void,
            ended: @escaping @Sendable () -> Void
        ) {
            self.began = began
            self.found = found
            self.ended = ended
        }
    }

    enum Listener {
        case providers(ProviderListener)
        case summary(CheckedContinuation<SearchSummary?, Never>)
    }

    struct State: Sendable {
        var machine: KademliaMachine
        var phase = Phase.idle
        var tasks = OperationTasks()
        var listeners: [KademliaMachine.SearchID: Listener] = [:]
        var departures: [CheckedContinuation<Void, Never>] = []
        var timer: (deadline: MonotonicTime, task: Task<Void, Never>)?
        var addressCheck = MonotonicTime(nanoseconds: .min)
        /// Whether a thread is carrying out actions. Only one does, so that they stay in order.
        var isDraining = false
    }

    /// Creates a node without peers.
    ///
    /// - Parameters:
    ///   - localAddresses: the present addresses of this node; while it has none, its keys wait.
    ///   - onRecordAdded: called for each new record of another peer. It must return at once.
    public init(
        localPeer: PeerID,
        localAddresses: @escaping @Sendable () -> [Multiaddr],
        configuration: KademliaConfiguration = KademliaConfiguration(),
        transport: any KademliaTransport,
        environment: KademliaEnvironment = .system,
        logger: Logger,
        onRecordAdded: (@Sendable (KeySpacePosition, PeerInfo) -> Void)? = nil
    ) {
        self.localPeer = localPeer
        self.localAddresses = localAddresses
        self.configuration = configuration
        self.transport = transport
        self.environment = environment
        self.logger = logger
        self.onRecordAdded = onRecordAdded
        state = Mutex(
            State(
                machine: KademliaMachine(
                    localPeer: localPeer,
                    configuration: configuration,
                    seed: environment.random(),
                    now: environment.now()
                )
            )
        )
    }

    // MARK: - Running

    /// Carries out the machine's actions until cancelled. Call it once. At its end all running searches end. Later ones
    /// use local records only.
    public func run() async {
        state.withLock { $0.phase = .running }
        input { _, _ in }
        // Nothing is sent on this stream. It ends when the task is cancelled.
        let (never, continuation) = AsyncStream.makeStream(of: Never.self)
        for await _ in never {}
        continuation.finish()
        await close()
    }

    private func close() async {
        let (tasks, timer, listeners, departures) = state.withLock { state in
            state.phase = .closed
            defer {
                state.timer = nil
                state.listeners = [:]
                state.departures = []
            }
            return (state.tasks.all, state.timer?.task, Array(state.listeners.values), state.departures)
        }
        timer?.cancel()
        for task in tasks { task.cancel() }
        for listener in listeners { end(listener, with: nil) }
        for departure in departures { departure.resume() }
        await timer?.value
        for task in tasks { await task.value }
    }

    /// Withdraws all own records and announces this node's departure. Stops advertising. Call it while ``run()`` runs
    /// and the transport still works.
    ///
    /// - Parameter limit: the time limit; holders that were not notified by then find out by themselves.
    public func leave(within limit: Duration = .seconds(2)) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.waitUntilLeft() }
            group.addTask { try? await self.environment.sleep(limit) }
            await group.next()
            resumeDepartures()
            group.cancelAll()
        }
    }

    private func waitUntilLeft() async {
        await withCheckedContinuation { continuation in
            let isOver = input { state, now in
                state.machine.leave(now: now)
                guard state.phase == .running else { return true }
                state.departures.append(continuation)
                return false
            }
            if isOver { continuation.resume() }
        }
    }

    private func resumeDepartures() {
        let departures = state.withLock { state in
            defer { state.departures = [] }
            return state.departures
        }
        for departure in departures { departure.resume() }
    }

    // MARK: - Input and output

    /// Passes an input to the machine, and carries out the resulting actions.
    @discardableResult
    func input<Result>(_ body: (inout State, MonotonicTime) -> Result) -> Result {
        let now = environment.now()
        let result = state.withLock { state in
            if now >= state.addressCheck || state.machine.localAddresses.isEmpty {
                state.addressCheck = now + Self.addressInterval
                state.machine.setLocalAddresses(localAddresses(), now: now)
            }
            return body(&state, now)
        }
        drain()
        return result
    }

    private func drain() {
        while true {
            let actions = state.withLock { state -> [KademliaMachine.Action]? in
                guard !state.isDraining, state.phase == .running else { return nil }
                var actions: [KademliaMachine.Action] = []
                while let action = state.machine.nextAction() { actions.append(action) }
                guard !actions.isEmpty else {
                    schedule(&state)
                    return nil
                }
                state.isDraining = true
                return actions
            }
            guard let actions else { break }
            for action in actions { perform(action) }
            state.withLock { $0.isDraining = false }
        }
        let hasLeft = state.withLock { !$0.departures.isEmpty && $0.machine.hasLeft }
        if hasLeft { resumeDepartures() }
    }

    private func perform(_ action: KademliaMachine.Action) {
        switch action {
        case .request(let id, let message, let peer):
            start(id, peer, on: transport.executor(for: peer.id)) { [transport] in
                let reply = try await transport.request(message, to: peer)
                return { $0.received(reply, for: id, now: $1) }
            }
        case .send(let id, let update, let peer):
            // On the global executor, since a message of all records is large.
            start(id, peer, on: nil) { [transport] in
                try await transport.send(update, to: peer)
                return { $0.sent(id, now: $1) }
            }
        case .cancel(let id):
            // Outside the lock, because a cancelled task may call back.
            state.withLock { $0.tasks.task(of: id) }?.cancel()
        case .searchStarted(let id):
            let listener = state.withLock { $0.listeners[id] }
            if case .providers(let listener) = listener { listener.began() }
        case .found(let id, let provider):
            let listener = state.withLock { $0.listeners[id] }
            if case .providers(let listener) = listener { listener.found(provider) }
        case .searchEnded(let id, let summary):
            let listener = state.withLock { $0.listeners.removeValue(forKey: id) }
            if let listener { end(listener, with: summary) }
        case .recordAdded(let position, let provider):
            onRecordAdded?(position, provider)
        }
    }

    private func end(_ listener: Listener, with summary: SearchSummary?) {
        switch listener {
        case .providers(let listener): listener.ended()
        case .summary(let continuation): continuation.resume(returning: summary)
        }
    }

    private typealias Outcome = @Sendable (inout KademliaMachine, MonotonicTime) -> Void

    private func start(
        _ id: KademliaMachine.OperationID,
        _ peer: PeerInfo,
        on executor: (any TaskExecutor)?,
        _ operation: @escaping @Sendable () async throws -> Outcome
    ) {
        state.withLock { state in
            guard state.phase == .running else { return }
            // The task cannot remove itself before it is inserted, because both take the same lock.
            let task = Task(executorPreference: executor) { [self] in
                do {
                    let outcome = try await operation()
                    ended(id, outcome)
                } catch {
                    if !Task.isCancelled {
                        logger.debug(
                            "request to peer failed",
                            metadata: [
                                "peer": "\(peer.id)", "address": "\(peer.addresses.first.map { "\($0)" } ?? "unknown")",
                                "reason": "\(error)",
                            ]
                        )
                    }
                    ended(id) { $0.failed(id, now: $1) }
                }
            }
            state.tasks.insert(task, for: id)
        }
    }

    private func ended(_ id: KademliaMachine.OperationID, _ outcome: Outcome) {
        input { state, now in
            state.tasks.remove(id)
            outcome(&state.machine, now)
        }
    }

    // MARK: - Time

    /// Sets the timer for the machine's next deadline.
    private func schedule(_ state: inout State) {
        let now = environment.now()
        var deadline = state.machine.nextDeadline
        if state.machine.localAddresses.isEmpty {
            // The addresses are read again soon.
            deadline = min(deadline ?? now + .seconds(1), max(now + .seconds(1), now))
        }
        guard let deadline else { return }
        if let timer = state.timer {
            guard deadline < timer.deadline else { return }
            timer.task.cancel()
        }
        let wait = max(deadline - now, .zero)
        let task = Task { [weak self, environment] in
            do { try await environment.sleep(wait) } catch { return }
            self?.timePassed()
        }
        state.timer = (deadline, task)
    }

    private func timePassed() {
        guard !Task.isCancelled else { return }
        input { state, now in
            state.timer = nil
            state.machine.advance(to: now)
        }
    }
}
