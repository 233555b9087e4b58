internal import Multiformats
import Time

/// Advertising of own keys.
extension KademliaMachine {
    // MARK: - Input

    /// Adds keys to advertise until ``stopProviding(_:now:)``. Ignores known keys.
    public mutating func provide(_ keys: some Sequence<Key>, now: MonotonicTime) {
        guard !isLeaving else { return }
        if own.isEmpty { advertising.restartSweep(now: now) }
        let added = own.insert(keys)
        guard !added.isEmpty else { return }
        advertising.withdraw.remove(added)
        advertising.announce.insert(added)
        // A few new keys come before the many of a restart.
        if added.count <= Self.urgentCount, advertising.urgent.count < 8 * Self.urgentCount {
            advertising.urgent += added
        }
        advertising.flush = min(
            advertising.flush ?? now + configuration.coalescingDelay,
            now + configuration.coalescingDelay
        )
        settle(now: now)
    }

    private static let urgentCount = 32

    /// Stops advertising keys, and withdraws their records from the holders.
    public mutating func stopProviding(_ keys: some Sequence<Key>, now: MonotonicTime) {
        guard !isLeaving else { return }
        let removed = own.remove(keys)
        guard !removed.isEmpty else { return }
        advertising.announce.remove(removed)
        advertising.withdraw.insert(removed)
        settle(now: now)
    }

    /// Withdraws all own records and announces the node's departure. Stops advertising. ``hasLeft`` becomes true when
    /// the messages are sent.
    public mutating func leave(now: MonotonicTime) {
        guard !isLeaving else { return }
        isLeaving = true
        advertising.announce.removeAll()
        advertising.flush = nil
        advertising.withdraw = own
        own.removeAll()
        outbox.dropWaiting()
        // Sorted, so that the output is deterministic.
        for job in advertising.jobs.keys.sorted(by: { $0.number < $1.number }) { abandon(job) }
        advertising.jobs = [:]
        for peer in table.peers { notifyDeparture(to: peer) }
        // In a small network these peers are all the holders.
        if isSmall { advertising.withdraw.removeAll() }
        settle(now: now)
    }

    private mutating func notifyDeparture(to peer: PeerInfo) {
        guard advertising.notified.insert(peer.id).inserted else { return }
        outbox.enqueue(.leave, [], for: peer)
    }

    // MARK: - Due keys

    mutating func pumpAdvertising(now: MonotonicTime) {
        if !isLeaving, !own.isEmpty { advertising.sweep(own, now: now) }
        if let notBefore = advertising.notBefore, notBefore <= now { advertising.notBefore = nil }
        guard !(advertising.announce.isEmpty && advertising.withdraw.isEmpty) else {
            advertising.flush = nil
            return
        }
        guard table.count > 0 else {
            // The peers to notify are gone.
            advertising.withdraw.removeAll()
            if let flush = advertising.flush, flush <= now { advertising.flush = nil }
            return
        }
        advertise(.withdraw, now: now)
        if let flush = advertising.flush {
            guard flush <= now else { return }
            advertising.flush = nil
        }
        // Without an own address, keys wait.
        if !localAddresses.isEmpty { advertise(.announce, now: now) }
    }

    private var hasRoomToSend: Bool { outbox.pendingCount < configuration.maximumPendingRecords }

    private mutating func advertise(_ kind: RecordUpdate.Kind, now: MonotonicTime) {
        if isSmall, !isLeaving {
            let everything = KeyRegion(around: table.localPosition, prefixLength: 0)
            while hasRoomToSend {
                let keys = advertising.take(kind, of: everything, limit: 4096)
                guard !keys.isEmpty else { return }
                if kind == .announce { advertising.hasAdvertisedToAll = true }
                for peer in table.peers { outbox.enqueue(kind, keys, for: peer) }
            }
            return
        }
        while advertising.notBefore == nil, hasRoomToSend,
            advertising.jobCount(kind) < configuration.maximumConcurrentProvides,
            let anchor = advertising.nextAnchor(kind)
        {
            if let view = advertising.view(of: anchor.position, now: now) {
                assign(view.region, to: view.peers, kind)
            } else {
                let claim = KeyRegion(around: anchor.position, prefixLength: table.neighbourhoodPrefix)
                startRegionLookup(
                    Advertising.Job(kind: kind, anchor: anchor, claim: claim),
                    key: anchor.bytes,
                    now: now
                )
            }
        }
    }

    // MARK: - Regions

    private mutating func startRegionLookup(_ job: Advertising.Job, key: [UInt8], now: MonotonicTime) {
        startLookup(.closestPeers, key: key, for: .advertising, now: now) { $0.advertising.jobs[$1] = job }
    }

    /// Handles the result of a region lookup: the K peers closest to its target.
    mutating func regionLookupEnded(_ id: LookupID, found: [PeerInfo], now: MonotonicTime) {
        guard var job = advertising.jobs.removeValue(forKey: id) else { return }
        guard !found.isEmpty else {
            advertising.notBefore = now + .seconds(isLeaving ? 60 : 5)
            if isLeaving { advertising.withdraw.removeAll() }
            return
        }
        guard let first = job.first else {
            // The region of the K peers, made one bit smaller, contains no other peer, because those in it are closer
            // to the target than the last.
            let shared = sharedPrefix(of: found, with: job.anchor.position)
            let region = KeyRegion(around: job.anchor.position, prefixLength: shared)
            guard found.count >= replication, advertising.hasOthers(job.kind, in: region, than: job.anchor) else {
                // No other peer is known, or no other key is in the region.
                let only =
                    found.count < replication ? region : KeyRegion(around: job.anchor.position, prefixLength: 256)
                if found.count < replication { advertising.remember(region, peers: found, now: now) }
                assign(only, to: found, job.kind)
                return
            }
            // A second lookup covers the other half of the region, around the farthest peer of the first.
            job.first = (found, region)
            guard let other = found.last else { return }
            startRegionLookup(job, key: other.id.bytes, now: now)
            return
        }
        var peers = first.found
        let known = Set(peers.map(\.id))
        peers += found.filter { !known.contains($0.id) }
        let other = first.found.last.map { KeySpacePosition(hashing: $0.id.bytes) } ?? job.anchor.position
        let isCovered = found.count < replication || sharedPrefix(of: found, with: other) <= first.region.prefixLength
        let length = first.region.prefixLength + (isCovered ? 0 : 1)
        let region = KeyRegion(around: job.anchor.position, prefixLength: length)
        advertising.remember(region, peers: peers, now: now)
        assign(region, to: peers, job.kind)
    }

    /// The number of leading bits that all found peers share with a position, the farthest being the last. Zero when no
    /// other peers exist.
    private func sharedPrefix(of found: [PeerInfo], with position: KeySpacePosition) -> Int {
        guard found.count >= replication, let last = found.last else { return 0 }
        return KeySpacePosition(hashing: last.id.bytes).commonPrefixLength(with: position)
    }

    /// Queues the waiting keys of a region, each for its K closest peers among `peers`.
    private mutating func assign(_ region: KeyRegion, to peers: [PeerInfo], _ kind: RecordUpdate.Kind) {
        let places = peers.map { KeySpacePosition(hashing: $0.id.bytes) }
        while hasRoomToSend {
            let keys = advertising.take(kind, of: region, limit: 1024)
            guard !keys.isEmpty else { return }
            if isLeaving {
                for peer in peers { notifyDeparture(to: peer) }
                continue
            }
            guard peers.count > replication else {
                for peer in peers { outbox.enqueue(kind, keys, for: peer) }
                continue
            }
            var batches = [[Key]](repeating: [], count: peers.count)
            for key in keys {
                let order = places.indices.map { (distance: places[$0].distance(to: key.position), index: $0) }
                    .sorted { $0.distance < $1.distance }
                for (_, index) in order.prefix(replication) { batches[index].append(key) }
            }
            for (peer, batch) in zip(peers, batches) { outbox.enqueue(kind, batch, for: peer) }
        }
    }
}
