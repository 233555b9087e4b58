public import Multiformats
import Time

/// Whom the node knows: admission, refresh, failures.
extension KademliaMachine {
    // MARK: - Input

    /// Sets where this node is reached.
    public mutating func setLocalAddresses(_ addresses: [Multiaddr], now: MonotonicTime) {
        guard addresses != localAddresses else { return }
        localAddresses = addresses
        settle(now: now)
    }

    /// Notes that a peer was met which lists the DHT protocol; once it has answered a request it enters the table.
    ///
    /// For a peer of the table this renews the addresses. When too many wait to be checked, the peer is turned away
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

    /// Notes that the connection to a peer broke or that it cannot be reached.
    ///
    /// It may have restarted and lost its records. It is tried again a few times, and gets them when it answers.
    public mutating func peerGone(_ id: PeerID, now: MonotonicTime) {
        let info = table.info(of: id)
        table.remove(id)
        dropSends(to: id)
        suspect(id, now: now)
        if let info { admissions.addFailed(info, now: now) }
        settle(now: now)
    }

    /// Looks up the node's own neighbourhood through the peers that are known.
    ///
    /// The machine does so by itself when peers appear and when it is time.
    public mutating func bootstrap(now: MonotonicTime) {
        neighbourhood.want(now: now)
        settle(now: now)
    }

    /// Notes that a provider could not be reached: it is offered last from now on, and checked if it is in the table.
    public mutating func reportUnreachable(_ provider: PeerID, now: MonotonicTime) {
        suspect(provider, now: now)
        if let info = table.info(of: provider) { _ = admissions.add(info, now: now) }
        settle(now: now)
    }

    // MARK: - Answers and failures

    /// Takes in a peer that has just answered.
    mutating func met(_ info: PeerInfo, now: MonotonicTime) {
        admissions.remove(info.id)
        suspects.remove(info.id)
        switch table.insert(info, now: now) {
        case .updated, .waiting, .refusedSelf: return
        case .refusedByAddress: statistics.peersRefusedByAddress += 1
        case .added, .replaced: admitted(info, now: now)
        }
    }

    /// A peer is new in the table.
    private mutating func admitted(_ info: PeerInfo, now: MonotonicTime) {
        guard !isLeaving else { return }
        if isSmall {
            // It is to hold every record: those that wait to be advertised come with the others'.
            let keys = own.keys.filter { !advertising.announce.contains($0) }
            outbox.enqueue(.announce, keys, for: info)
        } else if advertising.outgrew(now: now) {
            // What was sent to everybody known is advertised anew, to those who should have it.
            advertising.announce = own
        }
    }

    /// Notes that a peer failed: for as long as a record of it may live it is offered last.
    private mutating func suspect(_ id: PeerID, now: MonotonicTime) {
        suspects.insert(id, lifetime: configuration.providerStore.timeToLive, now: now)
    }

    /// Notes that a peer did not answer; it is tried again later.
    mutating func peerFailed(_ info: PeerInfo, now: MonotonicTime) {
        suspect(info.id, now: now)
        dropSends(to: info.id)
        if table.failed(info.id) { admissions.addFailed(info, now: now) }
    }

    /// Forgets what waits for a peer, and calls off what is being sent to it.
    mutating func dropSends(to id: PeerID) {
        guard let operation = outbox.operation(of: id) else { return outbox.drop(id) }
        outbox.drop(id)
        if operations.removeValue(forKey: operation) != nil { emit(.cancel(operation)) }
    }

    // MARK: - Admission

    mutating func pumpAdmissions(now: MonotonicTime) {
        guard admissions.count > 0 else { return }
        for peer in admissions.take(now: now, limit: configuration.maximumConcurrentAdmissions) {
            // Whoever answers this serves the protocol (libp2p/specs, kad-dht, "Client and server mode").
            request(Message(kind: .findNode, key: peer.id.bytes), to: peer, for: .admission, now: now)
        }
    }

    mutating func admissionSucceeded(_ info: PeerInfo, now: MonotonicTime) {
        let wasKnown = table.contains(info.id)
        met(info, now: now)
        // The fewer are known, the more this one may know whom we do not.
        if !wasKnown, table.count <= replication { neighbourhood.want(now: now) }
    }

    mutating func admissionFailed(_ info: PeerInfo, now: MonotonicTime) {
        // Out of the table first, so that the check that failed stays the one that counts.
        suspect(info.id, now: now)
        if table.failed(info.id) { dropSends(to: info.id) }
        // A peer that stays away is not offered any more.
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
            // The peers of the deepest buckets are those that the lookup of the neighbourhood finds.
            guard bucket < deepest,
                let key = RefreshTarget.key(inBucket: bucket, of: table.localPosition, using: &randomness)
            else { continue }
            neighbourhood.isRefreshing = true
            startLookup(.closestPeers, key: key, for: .refresh, now: now)
            return
        }
    }
}
