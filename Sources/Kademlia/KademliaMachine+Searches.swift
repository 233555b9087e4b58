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
        /// Whether it has a lookup of its own, or waits for one.
        var asksNetwork = false
        var lookup: LookupID?
        /// The search for the same key whose lookup it shares, and those that share its own.
        var leader: SearchID?
        var followers: [SearchID] = []
        var trace: TraceLog?
    }

    // MARK: - Input

    /// Finds providers of a key except this node. Each is reported by ``Action/found(_:_:)``, then the end by
    /// ``Action/searchEnded(_:_:)``.
    ///
    /// Local records are reported at once. They suffice if there are `limit` of them, or if the network has fewer than
    /// K other nodes, which then hold all records. Otherwise the search asks the network. A record that arrives
    /// meanwhile counts as found.
    ///
    /// Searches for one key share one lookup. A search that is queued for its lookup, see ``isWaiting(_:)``, reports
    /// its start by ``Action/searchStarted(_:)``.
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
        searches[id] = Search(key: key, limit: limit, start: now, trace: isTraced ? TraceLog() : nil)
        searchesByPosition[key.position, default: []].append(id)
        let (trusted, others) = heldProviders(of: key.position, now: now)
        for provider in (trusted + others).prefix(limit) { yield(provider, for: id) }
        if let outcome = localOutcome(key, trusted: trusted.count, limit: limit, now: now),
            outcome == .local || !isTraced
        {
            end(id, outcome, now: now)
        } else if !isTraced, let leader = leader(of: id, key, limit: limit) {
            follow(leader, id, now: now)
        } else if networkSearchCount(without: 1) < configuration.maximumConcurrentLookups {
            searches[id]?.asksNetwork = true
            startSearchLookup(id, now: now)
        } else if waitingSearches.count < configuration.maximumWaitingLookups {
            searches[id]?.asksNetwork = true
            waitingSearches.append(id)
        } else {
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

    /// Whether a search is queued for its lookup.
    public func isWaiting(_ id: SearchID) -> Bool {
        guard let search = searches[id] else { return false }
        if let leader = search.leader { return isWaiting(leader) }
        return search.asksNetwork && search.lookup == nil
    }

    /// Cancels a search. It causes no further action.
    public mutating func cancelSearch(_ id: SearchID, now: MonotonicTime) {
        guard let search = forget(id) else { return }
        statistics.searches.cancelled += 1
        if let lookup = search.lookup { abandon(lookup) }
        startWaitingSearches(now: now)
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

    /// The named providers that may be offered to a search.
    func offered(_ providers: [PeerInfo], for id: SearchID, now: MonotonicTime) -> [PeerInfo] {
        guard let position = searches[id]?.key.position else { return [] }
        return providers.filter { isOffered($0, for: position, now: now) }
    }

    private mutating func yield(_ provider: PeerInfo, for id: SearchID) {
        guard let search = searches[id], search.found.count < search.limit else { return }
        guard !search.found.contains(where: { $0.id == provider.id }) else { return }
        searches[id]?.found.append(provider)
        searches[id]?.trace?.found(provider)
        emit(.found(id, provider))
    }

    /// Handles a provider that the lookup of a search has found.
    mutating func found(_ provider: PeerInfo, for id: SearchID, now: MonotonicTime) {
        let all = [id] + (searches[id]?.followers ?? [])
        for each in all { yield(provider, for: each) }
        for each in all { endIfEnough(each, now: now) }
    }

    /// Handles a new record, which running searches may need.
    mutating func recordAdded(_ provider: PeerInfo, at position: KeySpacePosition, now: MonotonicTime) {
        misses.remove(position)
        emit(.recordAdded(position, provider))
        guard let waiting = searchesByPosition[position] else { return }
        for id in waiting where isOffered(provider, for: position, now: now) {
            yield(provider, for: id)
            if isSmall { end(id, .found, now: now) } else { endIfEnough(id, now: now) }
        }
    }

    private mutating func endIfEnough(_ id: SearchID, now: MonotonicTime) {
        guard let search = searches[id], search.found.count >= search.limit else { return }
        end(id, .found, now: now)
    }

    // MARK: - Lookups

    /// The number of searches with a lookup in flight, less `others`.
    private func networkSearchCount(without others: Int = 0) -> Int {
        searches.count - waitingSearches.count - followingSearches - others
    }

    /// A search for the same key whose lookup a new one can share.
    private func leader(of id: SearchID, _ key: Key, limit: Int) -> SearchID? {
        searchesByPosition[key.position]?.first { other in
            guard other != id, let search = searches[other] else { return false }
            return search.asksNetwork && search.limit >= limit
                && search.followers.count < configuration.maximumWaitingLookups
        }
    }

    private mutating func follow(_ leader: SearchID, _ id: SearchID, now: MonotonicTime) {
        searches[id]?.leader = leader
        searches[leader]?.followers.append(id)
        followingSearches += 1
        for provider in offered(searches[leader]?.found ?? [], for: id, now: now) { yield(provider, for: id) }
        endIfEnough(id, now: now)
    }

    /// Passes the lookup of an ended search on to its first follower.
    private mutating func inherit(_ search: Search, _ id: SearchID) {
        guard let heir = search.followers.first else { return }
        let others = Array(search.followers.dropFirst())
        followingSearches -= 1
        searches[heir]?.leader = nil
        searches[heir]?.asksNetwork = true
        searches[heir]?.lookup = search.lookup
        searches[heir]?.followers = others
        for other in others { searches[other]?.leader = heir }
        if let lookup = search.lookup {
            lookups[lookup]?.purpose = .search(heir)
        } else if let place = waitingSearches.firstIndex(of: id) {
            waitingSearches[place] = heir
        }
    }

    private mutating func startSearchLookup(_ id: SearchID, now: MonotonicTime) {
        guard let search = searches[id] else { return }
        startLookup(.providers(wanted: search.limit), key: search.key.bytes, for: .search(id), now: now)
    }

    private mutating func startWaitingSearches(now: MonotonicTime) {
        while let id = waitingSearches.first, networkSearchCount() < configuration.maximumConcurrentLookups {
            waitingSearches.removeFirst()
            for each in [id] + (searches[id]?.followers ?? []) { emit(.searchStarted(each)) }
            startSearchLookup(id, now: now)
        }
    }

    mutating func searchLookupEnded(_ id: SearchID, lookup: Lookup, now: MonotonicTime) {
        let followers = searches[id]?.followers ?? []
        for each in [id] + followers {
            for provider in lookup.surplusProviders { yield(provider, for: each) }
        }
        guard let search = searches[id] else { return }
        if search.found.isEmpty, lookup.answeredCount > 0 {
            misses.insert(search.key.position, lifetime: configuration.missLifetime, now: now)
        }
        // Followers end first, so that none of them takes over the ended lookup.
        for each in followers {
            guard let search = searches[each] else { continue }
            end(each, search.found.isEmpty ? .missed : .found, now: now)
        }
        end(id, search.found.isEmpty ? .missed : .found, lookup: lookup, now: now)
    }

    private mutating func end(
        _ id: SearchID,
        _ outcome: SearchSummary.Outcome,
        lookup: Lookup? = nil,
        now: MonotonicTime
    ) {
        guard let search = forget(id) else { return }
        var lookup = lookup
        if lookup == nil, let id = search.lookup {
            lookup = abandon(id)?.lookup
            statistics.hops += lookup?.hops ?? 0
        }
        switch outcome {
        case .local: statistics.searches.local += 1
        case .found: statistics.searches.found += 1
        case .missed: statistics.searches.missed += 1
        case .rememberedMiss: statistics.searches.rememberedMisses += 1
        case .turnedAway: statistics.searches.turnedAway += 1
        }
        let summary = SearchSummary(
            outcome: outcome,
            providers: search.found.count,
            hops: lookup?.hops ?? 0,
            requests: lookup?.requestCount ?? 0,
            duration: now - search.start,
            trace: search.trace?.trace
        )
        emit(.searchEnded(id, summary))
        startWaitingSearches(now: now)
    }

    private mutating func forget(_ id: SearchID) -> Search? {
        guard var search = searches.removeValue(forKey: id) else { return nil }
        let position = search.key.position
        searchesByPosition[position]?.removeAll { $0 == id }
        if searchesByPosition[position]?.isEmpty == true { searchesByPosition[position] = nil }
        if let leader = search.leader {
            searches[leader]?.followers.removeAll { $0 == id }
            followingSearches -= 1
        } else if !search.followers.isEmpty {
            inherit(search, id)
            search.lookup = nil
        } else if search.lookup == nil, !waitingSearches.isEmpty {
            waitingSearches.removeAll { $0 == id }
        }
        return search
    }

    // MARK: - Traces

    /// Adds to the trace of a lookup's search, if it has one.
    mutating func trace(_ id: LookupID, now: MonotonicTime, _ note: (inout TraceLog, Duration) -> Void) {
        guard case .search(let search) = lookups[id]?.purpose, let start = searches[search]?.start,
            var log = searches[search]?.trace
        else { return }
        searches[search]?.trace = nil
        note(&log, now - start)
        searches[search]?.trace = log
    }
}

/// A ``LookupTrace`` under construction.
struct TraceLog: Sendable {
    private(set) var trace = LookupTrace()
    private var places: [KademliaMachine.OperationID: Int] = [:]

    mutating func asked(_ id: KademliaMachine.OperationID, _ peer: PeerInfo, after time: Duration) {
        places[id] = trace.requests.count
        trace.requests.append(LookupTrace.Request(peer: peer, start: time, duration: nil, outcome: .unanswered))
    }

    mutating func answered(_ id: KademliaMachine.OperationID, closerPeers: Int, providers: Int, after time: Duration) {
        end(id, .answered(closerPeers: closerPeers, providers: providers), after: time)
    }

    mutating func failed(_ id: KademliaMachine.OperationID, after time: Duration) {
        end(id, .failed, after: time)
    }

    mutating func found(_ provider: PeerInfo) {
        trace.providers.append(provider)
    }

    private mutating func end(
        _ id: KademliaMachine.OperationID,
        _ outcome: LookupTrace.Request.Outcome,
        after time: Duration
    ) {
        guard let place = places.removeValue(forKey: id), trace.requests.indices.contains(place) else { return }
        trace.requests[place].outcome = outcome
        trace.requests[place].duration = time - trace.requests[place].start
    }
}
