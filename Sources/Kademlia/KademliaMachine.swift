public import Multiformats
import Time

/// Everything that a node of the DHT decides, as a value: input in, actions out; no I/O, clock, task or chance of its own.
///
/// After each input the actions are to be taken by ``nextAction()`` and carried out, and ``advance(to:)`` is to be called
/// at ``nextDeadline`` at the latest. Each request and send that was begun must be followed by its outcome, unless a
/// deadline or a cancellation came first. ``KademliaNode`` does all that with tasks and a clock; a simulation does it with
/// virtual time.
///
/// In a network of fewer than K others every node holds every record, so that a lookup needs no network. In a larger
/// one a key's records are at the K peers closest to it, of which ``Advertising`` says how they are found.
public struct KademliaMachine: Sendable {
    /// A request or send under way.
    public struct OperationID: Hashable, Sendable {
        let number: UInt64
    }

    /// A caller's lookup for providers.
    public struct SearchID: Hashable, Sendable {
        let number: UInt64
    }

    /// What is to be carried out.
    public enum Action: Sendable {
        /// Send a request; the outcome is told by ``received(_:for:now:)`` or ``failed(_:now:)``.
        case request(OperationID, Message, to: PeerInfo)
        /// Tell a peer of own records; the outcome is told by ``sent(_:now:)`` or ``failed(_:now:)``.
        case send(OperationID, RecordUpdate, to: PeerInfo)
        /// The operation is not needed any more; its outcome is ignored.
        case cancel(OperationID)
        /// A search that had to wait asks the network from now on.
        case searchStarted(SearchID)
        /// A provider for a search, each once.
        case found(SearchID, PeerInfo)
        /// A search has ended by itself, and how.
        case searchEnded(SearchID, SearchSummary)
        /// A record of another peer is held that was not before.
        case recordAdded(KeySpacePosition, PeerInfo)
    }

    struct LookupID: Hashable, Sendable {
        let number: UInt64
    }

    enum Timer: Sendable {
        case operation(OperationID)
        case lookup(LookupID)
    }

    /// This node's id.
    public let localPeer: PeerID
    /// The settings.
    public let configuration: KademliaConfiguration
    /// Where this node is reached; while that is nowhere, its keys wait.
    public internal(set) var localAddresses: [Multiaddr] = []
    /// The peers that are known.
    public internal(set) var table: RoutingTable
    /// What was done so far.
    public internal(set) var statistics = KademliaStatistics()

    var store: ProviderStore
    var own = KeySet()
    var advertising: Advertising
    var outbox = Outbox()
    var admissions: AdmissionQueue
    var neighbourhood: NeighbourhoodSchedule
    /// Positions of keys that nobody had a moment ago.
    var misses: ExpiringSet<KeySpacePosition>
    var exclusions: ExpiringSet<Exclusion>
    /// Providers whose content was wrong; what they say of themselves does not change it.
    var corruptions: ExpiringSet<Exclusion>
    /// Peers that failed of late: providers of last resort.
    var suspects: ExpiringSet<PeerID>
    var operations: [OperationID: Operation] = [:]
    var lookups: [LookupID: ActiveLookup] = [:]
    var searches: [SearchID: Search] = [:]
    var searchesByPosition: [KeySpacePosition: [SearchID]] = [:]
    var waitingSearches: [SearchID] = []
    /// How many searches wait for the lookup of another one.
    var followingSearches = 0
    var isLeaving = false
    var randomness: SplitMix

    private var timers = TimerQueue<Timer>()
    private var actions: [Action] = []
    private var firstAction = 0
    private var lastNumber: UInt64 = 0

    /// A provider that was found not to have a key.
    struct Exclusion: Hashable, Sendable {
        var position: KeySpacePosition
        var peer: PeerID
    }

    /// A machine that knows nobody yet.
    ///
    /// - Parameter seed: decides all that is left to chance.
    public init(localPeer: PeerID, configuration: KademliaConfiguration, seed: UInt64, now: MonotonicTime) {
        self.localPeer = localPeer
        self.configuration = configuration
        randomness = SplitMix(seed: seed)
        table = RoutingTable(localPeer: localPeer, configuration: configuration.routingTable, now: now)
        store = ProviderStore(configuration: configuration.providerStore)
        admissions = AdmissionQueue(limit: configuration.maximumPendingAdmissions)
        advertising = Advertising(interval: configuration.reprovideInterval, phase: randomness.next(), now: now)
        neighbourhood = NeighbourhoodSchedule(
            longestInterval: configuration.routingTable.refreshInterval,
            now: now
        )
        let limit = configuration.maximumRemembered
        misses = ExpiringSet(limit: limit)
        exclusions = ExpiringSet(limit: limit)
        corruptions = ExpiringSet(limit: limit)
        suspects = ExpiringSet(limit: limit)
    }

    // MARK: - Output

    /// The next thing to be carried out, in order; nil when there is nothing.
    public mutating func nextAction() -> Action? {
        guard firstAction < actions.count else { return nil }
        let action = actions[firstAction]
        firstAction += 1
        if firstAction == actions.count {
            actions.removeAll(keepingCapacity: actions.count <= 64)
            firstAction = 0
        }
        return action
    }

    mutating func emit(_ action: Action) { actions.append(action) }

    /// When ``advance(to:)`` is to be called at the latest; nil if nothing is waited for.
    public var nextDeadline: MonotonicTime? {
        var earliest: MonotonicTime?
        func consider(_ time: MonotonicTime?) {
            if let time { earliest = min(earliest ?? time, time) }
        }
        consider(timers.first?.time)
        consider(store.nextExpiry)
        if admissions.checking < configuration.maximumConcurrentAdmissions { consider(admissions.nextDue) }
        if !isLeaving { consider(advertising.nextDeadline(own: own)) }
        if table.count > 0, !isLeaving {
            if !neighbourhood.isUnderWay { consider(neighbourhood.due) }
            if !neighbourhood.isRefreshing { consider(table.nextRefresh) }
        }
        return earliest
    }

    /// Does what is due at `now`.
    public mutating func advance(to now: MonotonicTime) {
        while let (time, event) = timers.first, time <= now {
            timers.removeFirst()
            switch event {
            case .operation(let id):
                if operations[id] != nil {
                    emit(.cancel(id))
                    failed(id, now: now)
                }
            case .lookup(let id):
                guard lookups[id]?.timer == time else { continue }
                lookups[id]?.timer = nil
                pump(id, now: now)
            }
        }
        if let expiry = store.nextExpiry, expiry <= now {
            // Bounded, so that one call is brief; what is left has expired anyway and comes next.
            store.expire(now: now, limit: 50_000)
        }
        settle(now: now)
    }

    // MARK: - For the parts

    /// Starts whatever there is to start.
    mutating func settle(now: MonotonicTime) {
        pumpAdmissions(now: now)
        pumpRefresh(now: now)
        pumpAdvertising(now: now)
        pumpSends(now: now)
        // Whoever has answered is not waited for.
        while let (time, event) = timers.first, isStale(event, at: time) { timers.removeFirst() }
    }

    private func isStale(_ event: Timer, at time: MonotonicTime) -> Bool {
        switch event {
        case .operation(let id): operations[id] == nil
        case .lookup(let id): lookups[id]?.timer != time
        }
    }

    mutating func makeNumber() -> UInt64 {
        lastNumber &+= 1
        return lastNumber
    }

    mutating func setTimer(_ event: Timer, at time: MonotonicTime) { timers.add(event, at: time) }

    /// K.
    var replication: Int { configuration.routingTable.bucketSize }

    /// Whether the peers of the table are surely all there are: K are what a lookup for the node's own id finds in a
    /// network of any size, so only fewer than that are all.
    var isSmall: Bool { table.count < replication }

    var localInfo: PeerInfo { PeerInfo(id: localPeer, addresses: localAddresses) }

    // MARK: - Looking in

    /// The records held for others.
    public var recordCount: Int { store.count }
    /// The peers that records are held of.
    public var recordProviderCount: Int { store.providerCount }
    /// The own keys.
    public var providedKeyCount: Int { own.count }
    /// The records that wait to be sent, with the keys whose holders are not known yet.
    public var pendingRecordCount: Int {
        outbox.pendingCount + advertising.announce.count + advertising.withdraw.count
    }
    /// The searches under way.
    public var activeSearchCount: Int { searches.count }
    /// The requests and sends under way.
    public var activeOperationCount: Int { operations.count }
    /// Whether ``leave(now:)`` was called and all that could be told was.
    public var hasLeft: Bool {
        isLeaving && outbox.isIdle && advertising.withdraw.isEmpty && advertising.jobs.isEmpty
    }
}
