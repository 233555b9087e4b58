internal import Multiformats
import Time

/// The lookups in the network on behalf of searches, each shared by the searches for its key.
///
/// A number of them are in flight at a time, others are queued, and beyond that searches are turned away. A lookup lasts
/// as long as one of its searches.
extension KademliaMachine {
    struct SharedLookup: Sendable {
        let key: Key
        /// How many providers it looks for. A search for more cannot share it.
        let limit: Int
        /// The searches that share it, the oldest first; never empty.
        var searches: [SearchID]
        /// `nil` while it is queued.
        var lookup: LookupID?
    }

    private var lookupsInFlight: Int { sharedLookups.count - queuedLookups.count }

    var hasRoomForLookup: Bool { lookupsInFlight < configuration.maximumConcurrentLookups }

    func isQueued(_ id: SharedLookupID) -> Bool { sharedLookups[id].map { $0.lookup == nil } ?? false }

    /// A lookup for the key that a new search can share.
    func lookupToShare(_ key: Key, limit: Int) -> SharedLookupID? {
        lookupsByPosition[key.position]?.first { id in
            guard let shared = sharedLookups[id] else { return false }
            return shared.limit >= limit && shared.searches.count <= configuration.maximumWaitingLookups
        }
    }

    /// Adds a search to a lookup; what that has found counts for it.
    mutating func share(_ id: SharedLookupID, _ search: SearchID, held: ArraySlice<PeerInfo>, now: MonotonicTime) {
        guard let shared = sharedLookups[id] else { return }
        searches[search]?.lookup = id
        sharedLookups[id]?.searches.append(search)
        if shared.lookup != nil { emit(.searchStarted(search)) }
        for provider in held { yield(provider, for: search) }
        let found = shared.searches.first.flatMap { searches[$0]?.found } ?? []
        for provider in offered(found, for: shared.key.position, now: now) { yield(provider, for: search) }
        endIfEnough(search, now: now)
    }

    /// Makes a lookup for a search: starts it, or queues it where too many are in flight.
    mutating func makeLookup(for id: SearchID, held: ArraySlice<PeerInfo>, now: MonotonicTime) {
        guard let search = searches[id] else { return }
        let shared = SharedLookupID(number: makeNumber())
        let starts = hasRoomForLookup
        sharedLookups[shared] = SharedLookup(key: search.key, limit: search.limit, searches: [id])
        lookupsByPosition[search.key.position, default: []].append(shared)
        searches[id]?.lookup = shared
        if starts { emit(.searchStarted(id)) } else { queuedLookups.append(shared) }
        for provider in held { yield(provider, for: id) }
        if starts { start(shared, now: now) }
    }

    /// Starts queued lookups while there is room for them.
    mutating func startQueuedLookups(now: MonotonicTime) {
        while let id = queuedLookups.first, hasRoomForLookup {
            queuedLookups.removeFirst()
            for search in sharedLookups[id]?.searches ?? [] { emit(.searchStarted(search)) }
            start(id, now: now)
        }
    }

    private mutating func start(_ id: SharedLookupID, now: MonotonicTime) {
        guard let shared = sharedLookups[id] else { return }
        startLookup(.providers(wanted: shared.limit), key: shared.key.bytes, for: .search(id), now: now) {
            $0.sharedLookups[id]?.lookup = $1
        }
    }

    /// Handles a provider that a lookup has found.
    mutating func found(_ provider: PeerInfo, by id: SharedLookupID, now: MonotonicTime) {
        let all = sharedLookups[id]?.searches ?? []
        for search in all { yield(provider, for: search) }
        for search in all { endIfEnough(search, now: now) }
    }

    /// Handles the end of a lookup: all its searches end with it.
    mutating func ended(_ id: SharedLookupID, lookup: Lookup, now: MonotonicTime) {
        guard let shared = sharedLookups[id] else { return }
        discard(id)
        for search in shared.searches {
            searches[search]?.lookup = nil
            for provider in lookup.surplusProviders { yield(provider, for: search) }
        }
        let isMissed = shared.searches.allSatisfy { searches[$0]?.found.isEmpty ?? true }
        if isMissed, lookup.answeredCount > 0 {
            misses.insert(shared.key.position, lifetime: configuration.missLifetime, now: now)
        }
        for search in shared.searches {
            guard let found = searches[search]?.found else { continue }
            end(search, found.isEmpty ? .missed : .found, lookup: lookup, now: now)
        }
    }

    /// Removes a search from its lookup, which ends with its last search.
    ///
    /// - Returns: the lookup, if it ended so while it was in flight.
    mutating func leave(_ id: SharedLookupID, _ search: SearchID) -> Lookup? {
        sharedLookups[id]?.searches.removeAll { $0 == search }
        guard let shared = sharedLookups[id], shared.searches.isEmpty else { return nil }
        discard(id)
        return shared.lookup.flatMap { abandon($0)?.lookup }
    }

    private mutating func discard(_ id: SharedLookupID) {
        guard let shared = sharedLookups.removeValue(forKey: id) else { return }
        let position = shared.key.position
        lookupsByPosition[position]?.removeAll { $0 == id }
        if lookupsByPosition[position]?.isEmpty == true { lookupsByPosition[position] = nil }
        if shared.lookup == nil { queuedLookups.removeAll { $0 == id } }
    }
}
