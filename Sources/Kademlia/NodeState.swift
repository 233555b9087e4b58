internal import Multiformats

/// All that a ``KademliaNode`` knows, with the decisions that follow from it; no I/O.
struct NodeState: Sendable {
    let localPeer: PeerID
    let configuration: KademliaConfiguration
    var table: RoutingTable
    var store: ProviderStore
    var schedule: ReprovideSchedule
    var outbox = Outbox()
    var admissions: AdmissionQueue
    /// Whether the node's own neighbourhood is to be looked up.
    var wantsSelfLookup = false
    var statistics = KademliaStatistics()
    private var lastSelfLookup: MonotonicTime
    /// How long after the last lookup of the own neighbourhood the next one comes.
    private var selfLookupInterval = Self.firstSelfLookupInterval
    /// Set while keys were advertised to all the few peers known, which need not be those closest in a larger network.
    private var hasAdvertisedToAll = false
    private var lastRestart: MonotonicTime?

    init(localPeer: PeerID, configuration: KademliaConfiguration, now: MonotonicTime) {
        self.localPeer = localPeer
        self.configuration = configuration
        table = RoutingTable(localPeer: localPeer, configuration: configuration.routingTable, now: now)
        store = ProviderStore(configuration: configuration.providerStore)
        schedule = ReprovideSchedule(interval: configuration.reprovideInterval)
        admissions = AdmissionQueue(limit: configuration.maximumPendingAdmissions)
        lastSelfLookup = now
    }

    /// K.
    var replication: Int { configuration.routingTable.bucketSize }

    // MARK: - Peers

    /// What is to be done after a peer was met.
    enum Meeting {
        /// Nothing changed.
        case known
        /// The peer is new in the table: records wait for it.
        case admitted
    }

    /// Takes in a peer that has just answered.
    mutating func met(_ info: PeerInfo, now: MonotonicTime) -> Meeting {
        admissions.remove(info.id)
        switch table.insert(info, now: now) {
        case .updated, .waiting, .refusedSelf: return .known
        case .added, .replaced: break
        }
        restartAdvertisingIfOutgrown(now: now)
        outbox.enqueue(keysFor(info, now: now), for: info)
        return .admitted
    }

    /// Takes out a peer that did not answer; it is tried again later.
    mutating func failed(_ info: PeerInfo, now: MonotonicTime) {
        guard table.failed(info.id) else { return }
        outbox.drop(info.id)
        admissions.addFailed(info, now: now)
    }

    /// Takes out a peer that is known to be gone.
    mutating func gone(_ id: PeerID) {
        table.remove(id)
        outbox.drop(id)
        admissions.remove(id)
    }

    /// The own keys, of those that were advertised, that a new peer ought to hold.
    private func keysFor(_ newcomer: PeerInfo, now: MonotonicTime) -> [Key] {
        let keys = schedule.keysNotDue(now: now)
        guard isLarge else { return keys }
        return keys.filter { key in
            table.closest(replication, to: key.position).contains { $0.id == newcomer.id }
        }
    }

    /// When the network turns out to be larger than K, what was sent to everybody known is advertised anew, to those who
    /// should have it; once an interval, so that a network about as large as K does not do so at each coming and going.
    private mutating func restartAdvertisingIfOutgrown(now: MonotonicTime) {
        guard hasAdvertisedToAll, isLarge else { return }
        if let lastRestart, now - lastRestart < configuration.reprovideInterval { return }
        hasAdvertisedToAll = false
        lastRestart = now
        schedule.makeAllDue(now: now)
    }

    // MARK: - Own keys

    /// Whether there may be more peers than those of the table. K are what a lookup for the node's own id finds in a
    /// network of any size, so only fewer than that are surely all.
    private var isLarge: Bool { table.count >= replication }

    /// Takes up keys that are due. In a network of fewer than K others they are queued for all of them; otherwise they
    /// are returned, and each needs a lookup.
    mutating func takeUpDueKeys(now: MonotonicTime, isReachable: Bool) -> AdvertisingStep {
        // Without anybody to send to, or an address to be found at, keys stay due.
        guard isReachable, table.count > 0, outbox.pendingCount < configuration.maximumPendingRecords else {
            return .nothing
        }
        guard !isLarge else {
            let keys = schedule.takeDue(now: now, limit: configuration.maximumConcurrentProvides * 4)
            return keys.isEmpty ? .nothing : .lookUp(keys)
        }
        let keys = schedule.takeDue(now: now, limit: 4096)
        guard !keys.isEmpty else { return .nothing }
        hasAdvertisedToAll = true
        for peer in table.peers { outbox.enqueue(keys, for: peer) }
        for key in keys { schedule.advertised(key, now: now) }
        return .queued
    }

    enum AdvertisingStep {
        case nothing
        case queued
        case lookUp([Key])
    }

    /// Queues a key for the peers that a lookup found closest to it.
    mutating func found(_ targets: [PeerInfo], for key: Key, now: MonotonicTime) {
        guard !targets.isEmpty else { return schedule.postpone(key, until: now + .seconds(5)) }
        for target in targets { outbox.enqueue([key], for: target) }
        schedule.advertised(key, now: now)
    }

    // MARK: - Providers

    /// The other peers that are known to provide a key, and whether they are all there is to know: in a network of at
    /// most K nodes every node holds every record.
    func knownProviders(for key: Key, now: MonotonicTime) -> (providers: [PeerInfo], isComplete: Bool) {
        let providers = store.providers(for: key.position, now: now).filter { $0.id != localPeer }
        return (providers, !providers.isEmpty && table.count < replication)
    }

    // MARK: - Periodic work

    /// The keys to look up in order to refresh the table, each being marked as looked up; without the node's own.
    mutating func takeRefreshTargets(now: MonotonicTime, using generator: inout some RandomNumberGenerator) -> [[UInt8]]
    {
        var keys: [[UInt8]] = []
        for bucket in table.bucketsDueForRefresh(now: now) {
            table.markRefreshed(bucket: bucket, now: now)
            if let key = RefreshTarget.key(inBucket: bucket, of: table.localPosition, using: &generator) {
                keys.append(key)
            }
        }
        return keys
    }

    private static let firstSelfLookupInterval = Duration.seconds(1)

    /// Whether the node's own neighbourhood is to be looked up now; it is marked as looked up then.
    ///
    /// After a change it is looked up again in 1 s, 2 s, 4 s and so on up to the refresh interval: those who were asked
    /// at first may have been joining themselves, and known hardly anybody.
    mutating func takeSelfLookup(now: MonotonicTime) -> Bool {
        guard table.count > 0, wantsSelfLookup || now - lastSelfLookup >= selfLookupInterval else { return false }
        selfLookupInterval =
            wantsSelfLookup
            ? Self.firstSelfLookupInterval : min(selfLookupInterval * 2, configuration.routingTable.refreshInterval)
        wantsSelfLookup = false
        lastSelfLookup = now
        return true
    }

    /// Whether a lookup for the table's sake is due.
    func needsRefresh(now: MonotonicTime) -> Bool {
        table.count > 0
            && (wantsSelfLookup || now - lastSelfLookup >= selfLookupInterval
                || !table.bucketsDueForRefresh(now: now).isEmpty)
    }
}
