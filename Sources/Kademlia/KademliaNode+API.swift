public import Multiformats
internal import Synchronization
import Time

extension KademliaNode {
    // MARK: - Other nodes

    /// Handles a message of an authenticated peer.
    ///
    /// - Returns: the reply; `nil` when the message needs none (ADD_PROVIDER), is unsupported or is invalid. For the
    ///   last two, close the stream.
    public func handle(_ message: Message, from peer: PeerID) -> Message? {
        input { $0.machine.handle(message, from: peer, now: $1) }
    }

    /// Handles an authenticated peer's update of its own records.
    public func handle(_ update: RecordUpdate, from peer: PeerID) {
        input { $0.machine.handle(update, from: peer, now: $1) }
    }

    /// Adds a peer that supports the DHT protocol. It enters the table after it has replied to a request.
    ///
    /// Updates the addresses of a peer in the table.
    public func peerAppeared(_ info: PeerInfo) {
        input { $0.machine.peerAppeared(info, now: $1) }
    }

    /// Records that a peer's connection broke, or that it is unreachable.
    ///
    /// It may have restarted without its records. It is retried a few times, and gets the records when it replies.
    public func peerGone(_ id: PeerID) {
        input { $0.machine.peerGone(id, now: $1) }
    }

    /// Starts a lookup of the node's own neighbourhood. It also starts by itself when peers appear.
    public func bootstrap() {
        input { $0.machine.bootstrap(now: $1) }
    }

    // MARK: - Own keys

    /// Adds keys to advertise until ``stopProviding(_:)``. Ignores known keys. Returns at once.
    public func provide(_ keys: some Sequence<Key>) {
        input { $0.machine.provide(keys, now: $1) }
    }

    /// Stops advertising keys, and withdraws their records from the holders. Returns at once.
    public func stopProviding(_ keys: some Sequence<Key>) {
        input { $0.machine.stopProviding(keys, now: $1) }
    }

    // MARK: - Providers

    /// Finds providers of a key except this node.
    ///
    /// Local records come first, without the network. They suffice if there are `limit` of them, or if the network has
    /// at most K nodes, which then hold all records. The search ends when `limit` providers were found, when all peers
    /// that should know have replied, or when it is cancelled.
    ///
    /// - Returns: the search, to be cancelled; `nil` if it has ended already.
    public func findProviders(_ key: Key, limit: Int, _ listener: ProviderListener) -> KademliaMachine.SearchID? {
        guard limit > 0 else {
            listener.ended()
            return nil
        }
        let (id, held) = input { state, now -> (KademliaMachine.SearchID?, [PeerInfo]) in
            guard state.phase != .closed else {
                let held = state.machine.heldProviders(of: key.position, now: now)
                return (nil, Array((held.trusted + held.others).prefix(limit)))
            }
            let id = state.machine.findProviders(key, limit: limit, now: now)
            state.listeners[id] = .providers(listener)
            return (id, [])
        }
        guard let id else {
            listener.began()
            for provider in held { listener.found(provider) }
            listener.ended()
            return nil
        }
        return id
    }

    /// Finds providers of a key in local knowledge, at once.
    ///
    /// - Returns: the providers, none when a recent lookup found none; `nil` when only the network can tell.
    public func findProvidersHere(_ key: Key, limit: Int) -> [PeerInfo]? {
        guard limit > 0 else { return [] }
        let now = environment.now()
        return state.withLock { $0.machine.findProvidersHere(key, limit: limit, now: now) }
    }

    /// Finds providers of a key with a trace of all requests, for debugging.
    ///
    /// - Returns: `nil` if the task was cancelled or the node has ended.
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
            if let id { cancelSearch(id) }
        }
    }

    /// Ends a search early. A search that has ended is ignored.
    public func cancelSearch(_ id: KademliaMachine.SearchID) {
        let listener = input { state, now in
            state.machine.cancelSearch(id, now: now)
            return state.listeners.removeValue(forKey: id)
        }
        switch listener {
        case .providers(let listener): listener.ended()
        case .summary(let continuation): continuation.resume(returning: nil)
        case nil: break
        }
    }

    /// Records that a peer does not have a key. Its record is dropped. It is not offered for the key until it announces
    /// the key again, or until ``KademliaConfiguration/exclusionLifetime`` has passed.
    public func reportMissing(_ provider: PeerID, for key: Key) {
        input { $0.machine.reportMissing(provider, for: key, now: $1) }
    }

    /// Records that a peer sent corrupt content for a key. Its record is dropped, and it is not offered for the key for
    /// ``KademliaConfiguration/corruptionLifetime``, even if it announces the key again.
    public func reportCorrupt(_ provider: PeerID, for key: Key) {
        input { $0.machine.reportCorrupt(provider, for: key, now: $1) }
    }

    /// Records that a provider is unreachable: it is offered last, and checked if it is in the table.
    public func reportUnreachable(_ provider: PeerID) {
        input { $0.machine.reportUnreachable(provider, now: $1) }
    }

    // MARK: - Metrics

    /// The number of peers in the routing table.
    public var routingTableSize: Int { state.withLock { $0.machine.table.count } }

    /// The peers in the routing table with their buckets, and the time since each was last seen.
    public var routingTableSnapshot: [(peer: RoutingTable.PeerSnapshot, idle: Duration)] {
        let now = environment.now()
        return state.withLock { $0.machine.table.snapshot }.map { ($0, max(now - $0.lastSeen, .zero)) }
    }

    /// The number of records held for other peers.
    public var recordCount: Int { state.withLock { $0.machine.recordCount } }

    /// The number of own keys.
    public var providedKeyCount: Int { state.withLock { $0.machine.providedKeyCount } }

    /// The number of records that wait to be sent.
    public var pendingRecordCount: Int { state.withLock { $0.machine.pendingRecordCount } }

    /// The counters.
    public var statistics: KademliaStatistics { state.withLock { $0.machine.statistics } }
}
