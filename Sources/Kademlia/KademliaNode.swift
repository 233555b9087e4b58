public import Logging
public import Multiformats
internal import Synchronization
import Time

/// A node of the DHT: it answers others, keeps its routing table, advertises its own keys and finds providers of others.
///
/// What there is to decide is decided by ``KademliaMachine``; this class feeds it with messages and time, and carries out
/// what it says by tasks over a ``KademliaTransport``. ``run()`` must run for anything to happen beyond answering.
public final class KademliaNode: Sendable {
    /// This node's id.
    public let localPeer: PeerID
    /// The settings.
    public let configuration: KademliaConfiguration

    let environment: KademliaEnvironment
    let state: Mutex<State>
    private let localAddresses: @Sendable () -> [Multiaddr]
    private let transport: any KademliaTransport
    private let taskExecutor: (any TaskExecutor)?
    private let logger: Logger
    private let onRecordAdded: (@Sendable (KeySpacePosition, PeerInfo) -> Void)?

    /// How often it is asked where the node is reached; each time it is needed while that is nowhere.
    private static let addressInterval = Duration.seconds(30)

    enum Phase {
        case idle, running, closed
    }

    /// Who waits for providers.
    struct ProviderListener: Sendable {
        var began: @Sendable () -> Void
        var found: @Sendable (PeerInfo) -> Void
        var end: @Sendable () -> Void
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
        /// Whether somebody is carrying out actions: one at a time, so that their order holds.
        var isDraining = false
    }

    /// A node that knows nobody yet.
    ///
    /// - Parameters:
    ///   - localAddresses: where this node can be reached now; while there are none, its keys wait.
    ///   - taskExecutor: where the requests run, best where the connections are; the global one when there is none.
    ///   - onRecordAdded: called for each record of another peer that was not held before. It must return at once.
    public init(
        localPeer: PeerID,
        localAddresses: @escaping @Sendable () -> [Multiaddr],
        configuration: KademliaConfiguration = KademliaConfiguration(),
        transport: any KademliaTransport,
        environment: KademliaEnvironment = .system,
        taskExecutor: (any TaskExecutor)? = nil,
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
        self.taskExecutor = taskExecutor
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

    /// Does what the machine says, until cancelled. To be called once. When it ends, the searches under way end too, and
    /// later ones know local records alone.
    public func run() async {
        state.withLock { $0.phase = .running }
        input { _, _ in }
        // Nothing comes on this stream; it ends when the task is cancelled.
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

    /// Takes back all own records from their holders and tells the peers that this node leaves; nothing is advertised
    /// after that. To be called while ``run()`` runs and the transport still works.
    ///
    /// - Parameter limit: the longest that it may take; holders that were not told by then find out.
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

    /// Changes the machine, and carries out what it says.
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
            start(id, peer) { [transport] in
                let reply = try await transport.request(message, to: peer)
                return { $0.received(reply, for: id, now: $1) }
            }
        case .send(let id, let update, let peer):
            start(id, peer) { [transport] in
                try await transport.send(update, to: peer)
                return { $0.sent(id, now: $1) }
            }
        case .cancel(let id):
            // Outside of the lock, as what is called off may call back.
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
        case .providers(let listener): listener.end()
        case .summary(let continuation): continuation.resume(returning: summary)
        }
    }

    private typealias Outcome = @Sendable (inout KademliaMachine, MonotonicTime) -> Void

    private func start(
        _ id: KademliaMachine.OperationID,
        _ peer: PeerInfo,
        _ operation: @escaping @Sendable () async throws -> Outcome
    ) {
        state.withLock { state in
            guard state.phase == .running else { return }
            // The task cannot take itself out before it stands among the others, as that takes the same lock.
            let task = Task(executorPreference: taskExecutor) { [self] in
                do {
                    let outcome = try await operation()
                    ended(id, outcome)
                } catch {
                    if !Task.isCancelled {
                        logger.debug(
                            "a peer did not answer",
                            metadata: ["peer": "\(peer.id)", "reason": "\(error)"]
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

    /// Sees to it that the machine is told the time when it wants to be.
    private func schedule(_ state: inout State) {
        let now = environment.now()
        var deadline = state.machine.nextDeadline
        if state.machine.localAddresses.isEmpty {
            // They are asked for again soon.
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
