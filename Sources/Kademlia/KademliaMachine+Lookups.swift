internal import Multiformats
import Time

/// The lookups in flight of all purposes.
extension KademliaMachine {
    struct ActiveLookup: Sendable {
        enum Purpose: Sendable {
            case neighbourhood
            case refresh
            case advertising
            case search(SharedLookupID)
        }

        var lookup: Lookup
        var purpose: Purpose
        let message: Message
        var operations: Set<OperationID> = []
        /// When the lookup must be pumped again.
        var timer: MonotonicTime?
    }

    @discardableResult
    mutating func startLookup(
        _ goal: Lookup.Goal,
        key: [UInt8],
        for purpose: ActiveLookup.Purpose,
        now: MonotonicTime,
        note: (inout Self, LookupID) -> Void = { _, _ in }
    ) -> LookupID {
        let id = LookupID(number: makeNumber())
        let target = KeySpacePosition(hashing: key)
        let isForProviders = if case .providers = goal { true } else { false }
        let lookup = Lookup(
            goal,
            key: key,
            localPeer: localPeer,
            seeds: table.closest(replication, to: target),
            configuration: configuration.lookup,
            isUsable: \.isDialable
        )
        lookups[id] = ActiveLookup(
            lookup: lookup,
            purpose: purpose,
            message: Message(kind: isForProviders ? .getProviders : .findNode, key: key)
        )
        table.markLookedUp(target, now: now)
        statistics.lookups += 1
        if case .advertising = purpose { statistics.regionLookups += 1 }
        // Before the first step, which may be the last.
        note(&self, id)
        pump(id, now: now)
        return id
    }

    /// Sends the lookup's requests until it waits or has ended.
    mutating func pump(_ id: LookupID, now: MonotonicTime) {
        while let step = lookups[id]?.lookup.next(now: now) {
            switch step {
            case .finished: return finish(id, now: now)
            case .wait(let deadline):
                if let deadline, lookups[id]?.timer != deadline {
                    lookups[id]?.timer = deadline
                    setTimer(.lookup(id), at: deadline)
                }
                return
            case .ask(let peers):
                guard let message = lookups[id]?.message else { return }
                for peer in peers {
                    // Addresses proved by the peer itself come before those that others name.
                    let peer = table.info(of: peer.id) ?? peer
                    let operation = request(message, to: peer, for: .lookup(id), now: now)
                    lookups[id]?.operations.insert(operation)
                    trace(id, now: now) { $0.asked(operation, peer, after: $1) }
                }
            }
        }
    }

    mutating func received(
        _ reply: Message,
        from peer: PeerInfo,
        of operation: OperationID,
        in id: LookupID,
        now: MonotonicTime
    ) {
        guard lookups[id] != nil else { return }
        lookups[id]?.operations.remove(operation)
        trace(id, now: now) { trace, time in
            trace.answered(
                operation,
                closerPeers: reply.closerPeers.count,
                providers: reply.providerPeers.count,
                after: time
            )
        }
        var shared: (id: SharedLookupID, position: KeySpacePosition)?
        if case .search(let id) = lookups[id]?.purpose {
            shared = sharedLookups[id].map { (id, $0.key.position) }
        }
        var named = reply.providerPeers.map(\.info)
        // Excluded providers must not count as found.
        if let shared { named = offered(named, for: shared.position, now: now) }
        let providers =
            lookups[id]?.lookup.reply(
                from: peer.id,
                closerPeers: reply.closerPeers.map(\.info),
                providers: named
            ) ?? []
        if let shared {
            for provider in providers { found(provider, by: shared.id, now: now) }
        }
        pump(id, now: now)
    }

    mutating func requestFailed(to peer: PeerInfo, of operation: OperationID, in id: LookupID, now: MonotonicTime) {
        guard lookups[id] != nil else { return }
        lookups[id]?.operations.remove(operation)
        lookups[id]?.lookup.failure(of: peer.id)
        trace(id, now: now) { $0.failed(operation, after: $1) }
        pump(id, now: now)
    }

    /// Ends a lookup without using its result.
    @discardableResult
    mutating func abandon(_ id: LookupID) -> ActiveLookup? {
        guard let active = lookups.removeValue(forKey: id) else { return nil }
        // Sorted, so that the output is deterministic.
        for operation in active.operations.sorted(by: { $0.number < $1.number }) {
            operations[operation] = nil
            emit(.cancel(operation))
        }
        return active
    }

    private mutating func finish(_ id: LookupID, now: MonotonicTime) {
        guard let active = abandon(id) else { return }
        statistics.hops += active.lookup.hops
        // Late peers were not awaited until their deadline, which would have removed them from the table. The admission
        // check removes them if they are dead.
        for peer in active.lookup.latePeers where table.contains(peer.id) { _ = admissions.add(peer, now: now) }
        switch active.purpose {
        case .neighbourhood: neighbourhood.ended(now: now)
        case .refresh: neighbourhood.isRefreshing = false
        case .advertising: regionLookupEnded(id, found: active.lookup.closestAnswered, now: now)
        case .search(let shared): ended(shared, lookup: active.lookup, now: now)
        }
    }
}

extension Multiaddr {
    /// Whether this project can dial the address: an IP address or a name, a TCP port, and nothing else.
    ///
    /// Called for each peer of each reply, so it creates no text of the address.
    var isDialable: Bool {
        let components = if case .p2p = components.last { components.dropLast() } else { components[...] }
        guard components.count == 2, case .tcp(let port) = components.last, port != 0 else { return false }
        return switch components.first {
        case .ip4(let address): address.rawValue != 0
        case .ip6: ipAddress.map { !$0.isUnspecified } ?? false
        case .dns, .dns4, .dns6, .dnsaddr: true
        default: false
        }
    }
}
