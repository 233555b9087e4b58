public import Multiformats
internal import Synchronization
import Time

extension KademliaNode {
    // MARK: - Others

    /// Answers a message of a peer whose id is authenticated.
    ///
    /// - Returns: nil if there is no answer: the message needs none (ADD_PROVIDER), or is not served or not valid, in
    ///   which case the stream is best closed.
    public func handle(_ message: Message, from peer: PeerID) -> Message? {
        input { $0.machine.handle(message, from: peer, now: $1) }
    }

    /// Takes what a peer, whose id is authenticated, tells of its own records.
    public func handle(_ update: RecordUpdate, from peer: PeerID) {
        input { $0.machine.handle(update, from: peer, now: $1) }
    }

    /// Notes that a peer was met which lists the DHT protocol; once it has answered a request it enters the table.
    ///
    /// For a peer of the table this renews the addresses.
    public func peerAppeared(_ info: PeerInfo) {
        input { $0.machine.peerAppeared(info, now: $1) }
    }

    /// Notes that the connection to a peer broke or that it cannot be reached.
    ///
    /// It may have restarted and lost its records. It is tried again a few times, and gets them when it answers.
    public func peerGone(_ id: PeerID) {
        input { $0.machine.peerGone(id, now: $1) }
    }

    /// Has the node's own neighbourhood looked up; returns at once. It happens by itself when peers appear.
    public func bootstrap() {
        input { $0.machine.bootstrap(now: $1) }
    }

    // MARK: - Own keys

    /// Takes up keys to advertise, now and until ``stopProviding(_:)``. Returns at once; keys it knows are left alone.
    public func provide(_ keys: some Sequence<Key>) {
        input { $0.machine.provide(keys, now: $1) }
    }

    /// Stops advertising keys, and takes the records back from those that hold them. Returns at once.
    public func stopProviding(_ keys: some Sequence<Key>) {
        input { $0.machine.stopProviding(keys, now: $1) }
    }

    // MARK: - Providers

    /// Finds providers of a key, this node excepted, and yields each once, as it is found.
    ///
    /// Those of the records held here come first, without any network. The network is asked unless these suffice: there
    /// are `limit` of them, or the network has at most K nodes, all of which hold all records. The stream ends when
    /// `limit` providers were found, when all peers that should know have answered, or when its consumer is cancelled,
    /// which stops the search.
    public func findProviders(_ key: Key, limit: Int) -> AsyncStream<PeerInfo> {
        findProviders(key, limit: limit) { $0 }
    }

    /// Finds providers of a key as ``findProviders(_:limit:)-(Key,_)`` does, and yields what a function makes of each, if
    /// anything: no task has to stand between for that.
    ///
    /// - Parameter began: called once, before this returns or when there is room for the lookup; never when so many wait
    ///   already that it is turned away.
    public func findProviders<Provider: Sendable>(
        _ key: Key,
        limit: Int,
        began: @escaping @Sendable () -> Void = {},
        _ transform: @escaping @Sendable (PeerInfo) -> Provider?
    ) -> AsyncStream<Provider> {
        // What is buffered is bounded by the number of providers.
        let (stream, continuation) = AsyncStream.makeStream(of: Provider.self, bufferingPolicy: .unbounded)
        let listener = ProviderListener(
            began: began,
            found: { info in
                if let provider = transform(info) { continuation.yield(provider) }
            },
            end: { continuation.finish() }
        )
        guard limit > 0 else {
            continuation.finish()
            return stream
        }
        let started = input { state, now -> (id: KademliaMachine.SearchID, isUnderWay: Bool)? in
            guard state.phase != .closed else {
                let held = state.machine.heldProviders(of: key.position, now: now)
                for provider in (held.trusted + held.others).prefix(limit) { listener.found(provider) }
                listener.end()
                return nil
            }
            // One that is turned away has ended by the time that its number is known.
            let turnedAway = state.machine.statistics.searches.turnedAway
            let id = state.machine.findProviders(key, limit: limit, now: now)
            state.listeners[id] = .providers(listener)
            let isTurnedAway = state.machine.statistics.searches.turnedAway != turnedAway
            return (id, !isTurnedAway && !state.machine.isWaiting(id))
        }
        if started?.isUnderWay != false { began() }
        guard let id = started?.id else { return stream }
        continuation.onTermination = { [weak self] termination in
            if case .cancelled = termination { self?.cancel(id) }
        }
        return stream
    }

    /// Finds providers of a key by what is known here, at once.
    ///
    /// - Returns: the providers, none when it was just found out that there are none; nil when that is for
    ///   ``findProviders(_:limit:)`` to find out.
    public func findProvidersHere(_ key: Key, limit: Int) -> [PeerInfo]? {
        guard limit > 0 else { return [] }
        let now = environment.now()
        return state.withLock { $0.machine.findProvidersHere(key, limit: limit, now: now) }
    }

    /// Finds providers of a key, tells who was asked for them and how long it took; for people.
    ///
    /// - Returns: nil if the task was cancelled or the node has ended.
    public func trace(_ key: Key, limit: Int = 20) async -> SearchSummary? {
        let started = Mutex<(id: KademliaMachine.SearchID?, isCancelled: Bool)>((nil, false))
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isStarted = input { state, now in
                    guard state.phase == .running else { return false }
                    return started.withLock { started in
                        guard !started.isCancelled else { return false }
                        let id = state.machine.findProviders(key, limit: limit, isTraced: true, now: now)
                        state.listeners[id] = .summary(continuation)
                        started.id = id
                        return true
                    }
                }
                if !isStarted { continuation.resume(returning: nil) }
            }
        } onCancel: {
            let id = started.withLock { started in
                started.isCancelled = true
                return started.id
            }
            if let id { cancel(id) }
        }
    }

    private func cancel(_ id: KademliaMachine.SearchID) {
        let listener = input { state, now in
            state.machine.cancelSearch(id, now: now)
            return state.listeners.removeValue(forKey: id)
        }
        switch listener {
        case .providers(let listener): listener.end()
        case .summary(let continuation): continuation.resume(returning: nil)
        case nil: break
        }
    }

    /// Notes that a peer answered that it does not have a key: its record is dropped, and it is not offered for the key
    /// until it announces it anew, or some time has passed.
    public func reportMissing(_ provider: PeerID, for key: Key) {
        input { $0.machine.reportMissing(provider, for: key, now: $1) }
    }

    /// Notes that what a peer sent for a key was wrong: its record is dropped, and it is not offered for the key for a
    /// while, even if it announces it anew.
    public func reportCorrupt(_ provider: PeerID, for key: Key) {
        input { $0.machine.reportCorrupt(provider, for: key, now: $1) }
    }

    /// Notes that a provider could not be reached: it is offered last from now on, and checked if it is in the table.
    public func reportUnreachable(_ provider: PeerID) {
        input { $0.machine.reportUnreachable(provider, now: $1) }
    }

    // MARK: - Metrics

    /// The peers in the routing table.
    public var routingTableSize: Int { state.withLock { $0.machine.table.count } }

    /// The peers in the routing table and where they are.
    public var routingTablePeers: [PeerInfo] { state.withLock { $0.machine.table.peers } }

    /// The peers in the routing table with their buckets, and how long ago each was heard of.
    public var routingTableSnapshot: [(peer: RoutingTable.PeerSnapshot, idle: Duration)] {
        let now = environment.now()
        return state.withLock { $0.machine.table.snapshot }.map { ($0, max(now - $0.lastSeen, .zero)) }
    }

    /// The records held for others.
    public var recordCount: Int { state.withLock { $0.machine.recordCount } }

    /// The peers that records are held of.
    public var recordProviderCount: Int { state.withLock { $0.machine.recordProviderCount } }

    /// The own keys.
    public var providedKeyCount: Int { state.withLock { $0.machine.providedKeyCount } }

    /// The records that wait to be sent.
    public var pendingRecordCount: Int { state.withLock { $0.machine.pendingRecordCount } }

    /// The calls of ``findProviders(_:limit:)`` under way.
    public var activeSearchCount: Int { state.withLock { $0.machine.activeSearchCount } }

    /// The requests and sends whose tasks have not ended.
    public var activeOperationCount: Int { state.withLock { $0.tasks.count } }

    /// What was done so far.
    public var statistics: KademliaStatistics { state.withLock { $0.machine.statistics } }
}
