public import Multiformats
import Time

/// The known peers: admission, refresh, failures.
extension KademliaMachine {
    // MARK: - Input

    /// Sets the addresses of this node.
    public mutating func setLocalAddresses(_ addresses: [Multiaddr], now: MonotonicTime) {
        guard addresses != localAddresses else { return }
        localAddresses = addresses
        settle(now: now)
    }

    /// Adds a peer that supports the DHT protocol. It enters the table after it has replied to a request.
    ///
    /// Updates the addresses of a peer in the table. When too many peers wait for their check, the peer is ignored
    /// until it appears again.
    public mutating func peerAppeared(_ info: PeerInfo, now: MonotonicTime) {
        guard info.id != localPeer else { return }
        suspects.remove(info.id)
        guard !table.contains(info.id) else {
            _ = table.insert(info, now: now)
            return
        }
        _ = admissions.add(info, now: now)
        settle(now: now)
    }

    /// Records that a peer's connection broke, or that it is unreachable.
    ///
    /// It may have restarted without its records. It is retried a few times, and gets the records when it replies.
    public mutating func peerGone(_ id: PeerID, now: MonotonicTime) {
        let info = table.info(of: id)
        table.remove(id)
        dropSends(to: id)
        suspect(id, now: now)
        if let info { admissions.addFailed(info, now: now) }
        settle(now: now)
    }

    /// Looks up the node's own neighbourhood through the known peers.
    ///
    /// The machine also does this by itself, when peers appear and at intervals.
    public mutating func bootstrap(now: MonotonicTime) {
        neighbourhood.want(now: now)
        settle(now: now)
    }

    /// Records that a provider is unreachable: it is offered last, and checked if it is in the table.
    public mutating func reportUnreachable(_ provider: PeerID, now: MonotonicTime) {
        suspect(provider, now: now)
        if let info = table.info(of: provider) { _ = admissions.add(info, now: now) }
        settle(now: now)
    }

    // MARK: - Answers and failures

    /// Admits a peer that has just replied.
    mutating func met(_ info: PeerInfo, now: MonotonicTime) {
        admissions.remove(info.id)
        suspects.remove(info.id)
        switch table.insert(info, now: now) {
        case .updated, .waiting, .refusedSelf: return
        case .refusedByAddress: statistics.peersRefusedByAddress += 1
        case .added, .replaced: admitted(info, now: now)
        }
    }

    /// Handles a new peer in the table.
    private mutating func admitted(_ info: PeerInfo, now: MonotonicTime) {
        guard !isLeaving else { return }
        if isSmall {
            // In a small network it holds every record. Keys that still wait for their announcement come with the
            // others.
            let keys = own.keys.filter { !advertising.announce.contains($0) }
            outbox.enqueue(.announce, keys, for: info)
        } else if advertising.outgrew(now: now) {
            // Keys were advertised to all known peers. Now they must go to the closest ones.
            advertising.announce = own
        }
    }

    /// Records a failure of a peer: it is offered last for as long as a record of it may live.
    private mutating func suspect(_ id: PeerID, now: MonotonicTime) {
        suspects.insert(id, lifetime: configuration.providerStore.timeToLive, now: now)
    }

    /// Records that a peer did not reply; it is retried later.
    mutating func peerFailed(_ info: PeerInfo, now: MonotonicTime) {
        suspect(info.id, now: now)
        dropSends(to: info.id)
        if table.failed(info.id) { admissions.addFailed(info, now: now) }
    }

    /// Drops the queue of a peer and cancels the send in flight.
    mutating func dropSends(to id: PeerID) {
        guard let operation = outbox.operation(of: id) else { return outbox.drop(id) }
        outbox.drop(id)
        if operations.removeValue(forKey: operation) != nil { emit(.cancel(operation)) }
    }

    // MARK: - Admission

    mutating func pumpAdmissions(now: MonotonicTime) {
        guard admissions.count > 0 else { return }
        for peer in admissions.take(now: now, limit: configuration.maximumConcurrentAdmissions) {
            // A reply proves that the peer serves the protocol (libp2p/specs, kad-dht, "Client and server mode").
            request(Message(kind: .findNode, key: peer.id.bytes), to: peer, for: .admission, now: now)
        }
    }

    mutating func admissionSucceeded(_ info: PeerInfo, now: MonotonicTime) {
        let wasKnown = table.contains(info.id)
        met(info, now: now)
        // The fewer peers are known, the likelier this one knows others.
        if !wasKnown, table.count <= replication { neighbourhood.want(now: now) }
    }

    mutating func admissionFailed(_ info: PeerInfo, now: MonotonicTime) {
        // Remove it from the table first, so that its failed check counts last.
        suspect(info.id, now: now)
        if table.failed(info.id) { dropSends(to: info.id) }
        // The providers no longer include a peer that stays unreachable.
        if admissions.checkFailed(info.id, now: now) { store.removeAll(of: info.id) }
    }

    // MARK: - Refresh

    mutating func pumpRefresh(now: MonotonicTime) {
        guard table.count > 0, !isLeaving else { return }
        if neighbourhood.start(now: now) {
            startLookup(.closestPeers, key: localPeer.bytes, for: .neighbourhood, now: now)
        }
        guard !neighbourhood.isRefreshing, let due = table.nextRefresh, due <= now else { return }
        let deepest = max(table.neighbourhoodPrefix, 1)
        for bucket in table.bucketsDueForRefresh(now: now) {
            table.markRefreshed(bucket: bucket, now: now)
            // The neighbourhood lookup finds the peers of the deepest buckets.
            guard bucket < deepest,
                let key = RefreshTarget.key(inBucket: bucket, of: table.localPosition, using: &randomness)
            else { continue }
            neighbourhood.isRefreshing = true
            startLookup(.closestPeers, key: key, for: .refresh, now: now)
            return
        }
    }
}
