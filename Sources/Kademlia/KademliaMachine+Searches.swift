public import Multiformats
import Time

/// Callers' searches for providers.
extension KademliaMachine {
    struct Search: Sendable {
        let key: Key
        let limit: Int
        let start: MonotonicTime
        /// The found providers in order.
        var found: [PeerInfo] = []
        /// Its lookup in the network; `nil` if it needs none.
        var lookup: SharedLookupID?
        var trace: TraceLog?
    }

    // MARK: - Input

    /// Finds providers of a key except this node. ``Action/searchStarted(_:)`` is reported first, then each provider by
    /// ``Action/found(_:_:)``, then the end by ``Action/searchEnded(_:_:)``.
    ///
    /// Local records are reported at once. They suffice if there are `limit` of them, or if the network has fewer than
    /// K other nodes, which then hold all records. Otherwise the search asks the network. A record that arrives
    /// meanwhile counts as found.
    ///
    /// Searches for one key share one lookup. A search whose lookup is queued reports its start later, and a search that
    /// is turned away reports none: nothing can be said of its key.
    ///
    /// - Parameter isTraced: whether the summary has a trace of all requests.
    public mutating func findProviders(
        _ key: Key,
        limit: Int,
        isTraced: Bool = false,
        now: MonotonicTime
    ) -> SearchID {
        let id = SearchID(number: makeNumber())
        let limit = min(max(limit, 1), configuration.lookup.maximumProviders)
        let (trusted, others) = heldProviders(of: key.position, now: now)
        let held = (trusted + others).prefix(limit)
        searches[id] = Search(key: key, limit: limit, start: now, trace: isTraced ? TraceLog() : nil)
        if let outcome = localOutcome(key, trusted: trusted.count, limit: limit, now: now),
            outcome == .local || !isTraced
        {
            emit(.searchStarted(id))
            for provider in held { yield(provider, for: id) }
            end(id, outcome, now: now)
        } else if !isTraced, let lookup = lookupToShare(key, limit: limit) {
            share(lookup, id, held: held, now: now)
        } else if hasRoomForLookup || queuedLookups.count < configuration.maximumWaitingLookups {
            makeLookup(for: id, held: held, now: now)
        } else {
            for provider in held { yield(provider, for: id) }
            end(id, .turnedAway, now: now)
        }
        return id
    }

    /// Finds providers of a key in local knowledge, when ``findProviders(_:limit:isTraced:now:)`` would use nothing
    /// else.
    ///
    /// - Returns: the providers, none when a recent lookup found none; `nil` when only the network can tell.
    public mutating func findProvidersHere(_ key: Key, limit: Int, now: MonotonicTime) -> [PeerInfo]? {
        let limit = min(max(limit, 1), configuration.lookup.maximumProviders)
        let (trusted, others) = heldProviders(of: key.position, now: now)
        // When all other nodes hold the same records, the suspects complete the list.
        let enough = isSmall ? trusted.count + others.count : trusted.count
        guard let outcome = localOutcome(key, trusted: enough, limit: limit, now: now) else { return nil }
        if outcome == .local { statistics.searches.local += 1 } else { statistics.searches.rememberedMisses += 1 }
        return Array((trusted + others).prefix(limit))
    }

    /// The outcome of a search without the network; `nil` when it needs the network.
    private func localOutcome(
        _ key: Key,
        trusted: Int,
        limit: Int,
        now: MonotonicTime
    ) -> SearchSummary.Outcome? {
        if trusted >= limit || (isSmall && trusted > 0) { return .local }
        return misses.contains(key.position, now: now) ? .rememberedMiss : nil
    }

    /// Cancels a search. It causes no further action.
    public mutating func cancelSearch(_ id: SearchID, now: MonotonicTime) {
        guard remove(id) != nil else { return }
        statistics.searches.cancelled += 1
        startQueuedLookups(now: now)
    }

    /// Records that a peer does not have a key. Its record is dropped. It is not offered for the key until it announces
    /// the key again, or until ``KademliaConfiguration/exclusionLifetime`` has passed.
    public mutating func reportMissing(_ provider: PeerID, for key: Key, now: MonotonicTime) {
        store.remove(provider, for: key.position)
        let exclusion = Exclusion(position: key.position, peer: provider)
        exclusions.insert(exclusion, lifetime: configuration.exclusionLifetime, now: now)
    }

    /// Records that a peer sent corrupt content for a key. Its record is dropped, and it is not offered for the key for
    /// ``KademliaConfiguration/corruptionLifetime``, even if it announces the key again.
    public mutating func reportCorrupt(_ provider: PeerID, for key: Key, now: MonotonicTime) {
        store.remove(provider, for: key.position)
        let exclusion = Exclusion(position: key.position, peer: provider)
        corruptions.insert(exclusion, lifetime: configuration.corruptionLifetime, now: now)
    }

    // MARK: - Providers

    /// The other peers with a local record of a key: trusted ones, and those with a recent failure.
    func heldProviders(of position: KeySpacePosition, now: MonotonicTime) -> (trusted: [PeerInfo], others: [PeerInfo]) {
        var trusted: [PeerInfo] = []
        var others: [PeerInfo] = []
        for provider in store.providers(for: position, now: now) where isOffered(provider, for: position, now: now) {
            if suspects.contains(provider.id, now: now) { others.append(provider) } else { trusted.append(provider) }
        }
        return (trusted, others)
    }

    private func isOffered(_ provider: PeerInfo, for position: KeySpacePosition, now: MonotonicTime) -> Bool {
        let exclusion = Exclusion(position: position, peer: provider.id)
        return provider.id != localPeer && !exclusions.contains(exclusion, now: now)
            && !corruptions.contains(exclusion, now: now)
    }

    /// The named providers that may be offered for a key.
    func offered(_ providers: [PeerInfo], for position: KeySpacePosition, now: MonotonicTime) -> [PeerInfo] {
        providers.filter { isOffered($0, for: position, now: now) }
    }

    mutating func yield(_ provider: PeerInfo, for id: SearchID) {
        guard let search = searches[id], search.found.count < search.limit else { return }
        guard !search.found.contains(where: { $0.id == provider.id }) else { return }
        searches[id]?.found.append(provider)
        searches[id]?.trace?.found(provider)
        emit(.found(id, provider))
    }

    /// Handles a new record, which running searches may need.
    mutating func recordAdded(_ provider: PeerInfo, at position: KeySpacePosition, now: MonotonicTime) {
        misses.remove(position)
        emit(.recordAdded(position, provider))
        guard let shared = lookupsByPosition[position], isOffered(provider, for: position, now: now) else { return }
        for id in shared.flatMap({ sharedLookups[$0]?.searches ?? [] }) {
            yield(provider, for: id)
            if isSmall { end(id, .found, now: now) } else { endIfEnough(id, now: now) }
        }
    }

    mutating func endIfEnough(_ id: SearchID, now: MonotonicTime) {
        guard let search = searches[id], search.found.count >= search.limit else { return }
        end(id, .found, now: now)
    }

    // MARK: - The end

    mutating func end(
        _ id: SearchID,
        _ outcome: SearchSummary.Outcome,
        lookup: Lookup? = nil,
        now: MonotonicTime
    ) {
        // Enough was found while its lookup was queued.
        if let shared = searches[id]?.lookup, isQueued(shared) { emit(.searchStarted(id)) }
        guard let (search, cut) = remove(id) else { return }
        statistics.hops += cut?.hops ?? 0
        switch outcome {
        case .local: statistics.searches.local += 1
        case .found: statistics.searches.found += 1
        case .missed: statistics.searches.missed += 1
        case .rememberedMiss: statistics.searches.rememberedMisses += 1
        case .turnedAway: statistics.searches.turnedAway += 1
        }
        let lookup = lookup ?? cut
        let summary = SearchSummary(
            outcome: outcome,
            providers: search.found.count,
            hops: lookup?.hops ?? 0,
            requests: lookup?.requestCount ?? 0,
            duration: now - search.start,
            trace: search.trace?.trace
        )
        emit(.searchEnded(id, summary))
        startQueuedLookups(now: now)
    }

    /// Removes a search, and its lookup with the last search that shares it.
    ///
    /// - Returns: the lookup that was cut with it.
    private mutating func remove(_ id: SearchID) -> (search: Search, cut: Lookup?)? {
        guard let search = searches.removeValue(forKey: id) else { return nil }
        guard let shared = search.lookup else { return (search, nil) }
        return (search, leave(shared, id))
    }

    // MARK: - Traces

    /// Adds to the trace of the search that a lookup was started for, if it has one.
    mutating func trace(_ id: LookupID, now: MonotonicTime, _ note: (inout TraceLog, Duration) -> Void) {
        // A traced search shares no lookup of another, so it is the first of its own.
        guard case .search(let shared) = lookups[id]?.purpose, let search = sharedLookups[shared]?.searches.first,
            let start = searches[search]?.start, var log = searches[search]?.trace
        else { return }
        searches[search]?.trace = nil
        note(&log, now - start)
        searches[search]?.trace = log
    }
}
