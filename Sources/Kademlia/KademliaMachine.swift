public import Multiformats
import Time

/// All decisions of a DHT node, as a value: input in, actions out; without I/O, clock, tasks or randomness.
///
/// After each input the driver takes the actions from ``nextAction()`` and carries them out. It calls ``advance(to:)``
/// at ``nextDeadline`` at the latest. It reports one outcome for each request and send, unless a deadline or a
/// cancellation came first. ``KademliaNode`` drives the machine with tasks and a clock, a simulation with virtual time.
///
/// In a network with fewer than K other nodes every node holds every record, so that a lookup needs no network. In a
/// larger one the K peers closest to a key hold its records; ``Advertising`` finds them.
public struct KademliaMachine: Sendable {
    /// A request or send in flight.
    public struct OperationID: Hashable, Sendable {
        let number: UInt64
    }

    /// A caller's search for providers.
    public struct SearchID: Hashable, Sendable {
        let number: UInt64
    }

    /// An action for the driver.
    public enum Action: Sendable {
        /// Send a request, and report ``received(_:for:now:)`` or ``failed(_:now:)``.
        case request(OperationID, Message, to: PeerInfo)
        /// Send a peer own records, and report ``sent(_:now:)`` or ``failed(_:now:)``.
        case send(OperationID, RecordUpdate, to: PeerInfo)
        /// Cancel the operation. Its outcome is ignored.
        case cancel(OperationID)
        /// A search has its place: it uses local records, or its lookup in the network has started. Never reported of a
        /// search that is turned away.
        case searchStarted(SearchID)
        /// A provider for a search; each is reported once.
        case found(SearchID, PeerInfo)
        /// A search has ended by itself.
        case searchEnded(SearchID, SearchSummary)
        /// A new record of another peer is held.
        case recordAdded(KeySpacePosition, PeerInfo)
    }

    struct LookupID: Hashable, Sendable {
        let number: UInt64
    }

    struct SharedLookupID: Hashable, Sendable {
        let number: UInt64
    }

    enum Timer: Sendable {
        case operation(OperationID)
        case lookup(LookupID)
    }

    /// The id of this node.
    public let localPeer: PeerID
    /// The settings.
    public let configuration: KademliaConfiguration
    /// The addresses of this node. While it has none, its keys wait.
    public internal(set) var localAddresses: [Multiaddr] = []
    /// The known peers.
    public internal(set) var table: RoutingTable
    /// The counters.
    public internal(set) var statistics = KademliaStatistics()

    var store: ProviderStore
    var own = KeySet()
    var advertising: Advertising
    var outbox = Outbox()
    var admissions: AdmissionQueue
    var neighbourhood: NeighbourhoodSchedule
    /// Positions of keys for which a recent lookup found no provider.
    var misses: ExpiringSet<KeySpacePosition>
    var exclusions: ExpiringSet<Exclusion>
    /// Providers that sent corrupt content for a key. A new announcement does not clear them.
    var corruptions: ExpiringSet<Exclusion>
    /// Peers with a recent failure: the providers of last resort.
    var suspects: ExpiringSet<PeerID>
    var operations: [OperationID: Operation] = [:]
    var lookups: [LookupID: ActiveLookup] = [:]
    var searches: [SearchID: Search] = [:]
    var sharedLookups: [SharedLookupID: SharedLookup] = [:]
    var lookupsByPosition: [KeySpacePosition: [SharedLookupID]] = [:]
    /// Those that wait for their start, the oldest first.
    var queuedLookups: [SharedLookupID] = []
    var isLeaving = false
    var randomness: SplitMix

    private(set) var timers = TimerQueue<Timer>()
    private var actions: [Action] = []
    private var firstAction = 0
    private var lastNumber: UInt64 = 0
    var linearChecks = LinearChecks()

    /// A peer that is not offered as a provider of a key.
    struct Exclusion: Hashable, Sendable {
        var position: KeySpacePosition
        var peer: PeerID
    }

    /// Creates a machine without peers.
    ///
    /// - Parameter seed: the seed of all random decisions.
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

    /// Takes the next action, in order; `nil` when there is none.
    public mutating func nextAction() -> Action? {
        guard firstAction < actions.count else {
            assertInvariants()
            return nil
        }
        let action = actions[firstAction]
        firstAction += 1
        if firstAction == actions.count {
            actions.removeAll(keepingCapacity: actions.count <= 64)
            firstAction = 0
        }
        return action
    }

    mutating func emit(_ action: Action) { actions.append(action) }

    /// The latest time for ``advance(to:)``; `nil` if nothing is due.
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
            if !neighbourhood.isInFlight { consider(neighbourhood.due) }
            if !neighbourhood.isRefreshing { consider(table.nextRefresh) }
        }
        return earliest
    }

    /// Does the work that is due at `now`.
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
            // Bounded, so that one call is short. The rest has expired as well and comes next.
            store.expire(now: now, limit: 50_000)
        }
        settle(now: now)
    }

    // MARK: - Shared by the extensions

    /// Starts all work that can start.
    mutating func settle(now: MonotonicTime) {
        pumpAdmissions(now: now)
        pumpRefresh(now: now)
        pumpAdvertising(now: now)
        pumpSends(now: now)
        // Drops timers of operations that have ended.
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

    /// K of the paper.
    var replication: Int { configuration.routingTable.bucketSize }

    /// Whether the table contains all peers of the network. A lookup of the node's own id finds K peers in a network of
    /// any size, so fewer than K are all.
    var isSmall: Bool { table.count < replication }

    var localInfo: PeerInfo { PeerInfo(id: localPeer, addresses: localAddresses) }

    // MARK: - Inspection

    /// The number of records held for other peers.
    public var recordCount: Int { store.count }
    /// The number of own keys.
    public var providedKeyCount: Int { own.count }
    /// The number of records that wait to be sent, and of keys whose holders are not looked up yet.
    public var pendingRecordCount: Int {
        outbox.pendingCount + advertising.announce.count + advertising.withdraw.count
    }
    /// Whether ``leave(now:)`` was called and its messages are sent.
    public var hasLeft: Bool {
        isLeaving && outbox.isIdle && advertising.withdraw.isEmpty && advertising.jobs.isEmpty
    }
}
