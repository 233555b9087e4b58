public import Logging
public import Multiformats
internal import Synchronization

/// A node of the DHT: it answers others, keeps its routing table, advertises its own keys and finds providers of others.
///
/// What there is to decide is decided by value types (``RoutingTable``, ``Lookup``, ``ProviderStore``,
/// ``ReprovideSchedule``); this class feeds them with messages and time and carries out what they say. ``run()`` must run
/// for anything to happen beyond answering and finding.
///
/// In a network of at most K nodes every node holds every record, so that a lookup needs no network. A peer that fails is
/// taken out of the routing table, and is tried again a few times; after that it has to appear again.
public final class KademliaNode: Sendable {
    /// This node's id.
    public let localPeer: PeerID
    /// The settings.
    public let configuration: KademliaConfiguration

    let localAddresses: @Sendable () -> [Multiaddr]
    let transport: any KademliaTransport
    let environment: KademliaEnvironment
    let logger: Logger
    let state: Mutex<NodeState>
    let searches = SearchRegistry()
    let searchLimiter: AsyncLimiter

    let admissionSignal = Signal()
    let advertisingSignal = Signal()
    let sendingSignal = Signal()
    let refreshSignal = Signal()

    private let onRecordAdded: (@Sendable (KeySpacePosition, PeerInfo) -> Void)?

    /// A node that knows nobody yet.
    ///
    /// - Parameters:
    ///   - localAddresses: where this node can be reached now; while there are none, its keys wait.
    ///   - onRecordAdded: called for each record of another peer that was not held before, as with a cache of misses.
    ///     It must return at once.
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
        searchLimiter = AsyncLimiter(limit: configuration.maximumConcurrentLookups)
        state = Mutex(NodeState(localPeer: localPeer, configuration: configuration, now: environment.now()))
    }

    // MARK: - Others

    /// Answers a message of a peer whose id is authenticated.
    ///
    /// - Returns: nil if there is no answer: the message needs none (ADD_PROVIDER), or is not served or not valid, in
    ///   which case the stream is best closed.
    public func handle(_ message: Message, from peer: PeerID) -> Message? {
        let local = localInfo
        let now = environment.now()
        let (reply, added) = state.withLock { state in
            state.statistics.handledMessages += 1
            return state.handle(message, from: peer, local: local, now: now)
        }
        if let added { onRecordAdded?(added.position, added.provider) }
        return reply
    }

    /// Notes that a peer was met which lists the DHT protocol; once it has answered a request it enters the table.
    ///
    /// For a peer of the table this renews the addresses.
    public func peerAppeared(_ info: PeerInfo) {
        guard info.id != localPeer else { return }
        let now = environment.now()
        let hasRoom = state.withLock { state in
            guard !state.table.contains(info.id) else {
                _ = state.table.insert(info, now: now)
                return true
            }
            return state.admissions.add(info, now: now)
        }
        guard hasRoom else {
            logger.debug("turned a peer away, too many wait to be checked", metadata: ["peer": "\(info.id)"])
            return
        }
        admissionSignal.send()
    }

    /// Notes that a peer cannot be reached any more or no longer lists the DHT protocol.
    ///
    /// A connection that was merely closed for being idle is no reason to call this; one that broke is: the peer may have
    /// restarted and lost its records, and gets them when it appears again.
    public func peerGone(_ id: PeerID) {
        state.withLock { $0.gone(id) }
    }

    // MARK: - Own keys

    /// Takes up keys to advertise, now and until ``stopProviding(_:)``. Returns at once; keys it knows are left alone.
    public func provide(_ keys: some Sequence<Key>) {
        let now = environment.now()
        state.withLock { state in
            for key in keys { state.schedule.add(key, now: now) }
        }
        advertisingSignal.send()
    }

    /// Stops advertising keys. The records that others hold run out.
    public func stopProviding(_ keys: some Sequence<Key>) {
        state.withLock { state in
            for key in keys { state.schedule.remove(key) }
        }
    }

    // MARK: - Records

    /// Forgets that a peer provides a key, as when it was just found not to.
    public func removeProvider(_ id: PeerID, for key: Key) {
        state.withLock { _ = $0.store.remove(id, for: key.position) }
    }

    // MARK: - Metrics

    /// The peers in the routing table.
    public var routingTableSize: Int { state.withLock { $0.table.count } }

    /// The peers in the routing table and where they are.
    public var routingTablePeers: [PeerInfo] { state.withLock { $0.table.peers } }

    /// The records held for others.
    public var recordCount: Int { state.withLock { $0.store.count } }

    /// The peers that records are held of.
    public var recordProviderCount: Int { state.withLock { $0.store.providerCount } }

    /// The own keys.
    public var providedKeyCount: Int { state.withLock { $0.schedule.count } }

    /// The records that wait to be sent.
    public var pendingRecordCount: Int { state.withLock { $0.outbox.pendingCount } }

    /// The calls of ``findProviders(_:limit:)`` under way.
    public var activeSearchCount: Int { searches.count }

    /// What was done so far.
    public var statistics: KademliaStatistics { state.withLock { $0.statistics } }

    var localInfo: PeerInfo { PeerInfo(id: localPeer, addresses: localAddresses()) }
}
