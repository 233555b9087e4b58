public import Multiformats
import Time

/// The server side: replies to requests (libp2p/specs, kad-dht, "RPC messages"), and the records of other peers.
extension KademliaMachine {
    /// The valid lengths of a key in bytes.
    private static let keyLengths = 1...80
    /// The maximum number of providers in one reply.
    static let providersPerAnswer = 64

    /// Handles a message of an authenticated peer.
    ///
    /// - Returns: the reply; `nil` when the message needs none (ADD_PROVIDER), is unsupported or is invalid.
    public mutating func handle(_ message: Message, from peer: PeerID, now: MonotonicTime) -> Message? {
        statistics.handledMessages += 1
        // Replying would put a leaving node back into the peer's table.
        guard !isLeaving else { return nil }
        table.seen(peer, now: now)
        switch message.kind {
        case .ping: return message
        case .findNode: return findNode(message, from: peer)
        case .getProviders: return getProviders(message, from: peer, now: now)
        case .addProvider:
            addProvider(message, from: peer, now: now)
            return nil
        default: return nil
        }
    }

    /// Handles an authenticated peer's update of its own records.
    public mutating func handle(_ update: RecordUpdate, from peer: PeerID, now: MonotonicTime) {
        statistics.handledMessages += 1
        guard update.provider.id == peer, peer != localPeer else {
            statistics.offers.refusedAsForeign += max(1, update.keys.count)
            return
        }
        table.seen(peer, now: now)
        let keys = update.keys.prefix(RecordUpdate.maximumKeys)
        switch update.kind {
        case .announce:
            guard !update.provider.addresses.isEmpty, update.timeToLive > .zero else {
                statistics.offers.refusedAsInvalid += max(1, keys.count)
                return
            }
            for key in keys { add(update.provider, for: key.position, timeToLive: update.timeToLive, now: now) }
        case .withdraw:
            for key in keys where store.remove(peer, for: key.position) { statistics.offers.withdrawn += 1 }
        case .leave:
            statistics.offers.withdrawn += store.removeAll(of: peer)
            table.remove(peer)
            admissions.remove(peer)
            dropSends(to: peer)
            settle(now: now)
        }
    }

    private func findNode(_ request: Message, from peer: PeerID) -> Message? {
        guard Self.keyLengths.contains(request.key.count) else { return nil }
        var closer = closerPeers(to: KeySpacePosition(hashing: request.key), except: peer)
        // A node names itself only to a peer that asks for it. So peers check that it serves the protocol, and others
        // take an empty reply for a failed check. A target in the table is the closest, so it comes first anyway.
        if request.key == localPeer.bytes, !localAddresses.isEmpty {
            closer.insert(Message.Peer(localInfo, connection: .connected), at: 0)
        }
        return Message(kind: .findNode, closerPeers: closer)
    }

    private func getProviders(_ request: Message, from peer: PeerID, now: MonotonicTime) -> Message? {
        guard Self.keyLengths.contains(request.key.count) else { return nil }
        let position = KeySpacePosition(hashing: request.key)
        let (trusted, others) = heldProviders(of: position, now: now)
        var providers = trusted + others
        if let key = Key(bytes: request.key), own.contains(key), !localAddresses.isEmpty {
            providers.insert(localInfo, at: 0)
        }
        return Message(
            kind: .getProviders,
            key: request.key,
            closerPeers: closerPeers(to: position, except: peer),
            providerPeers: providers.prefix(Self.providersPerAnswer).map { Message.Peer($0) }
        )
    }

    private mutating func addProvider(_ request: Message, from peer: PeerID, now: MonotonicTime) {
        // A peer may announce only its own records.
        guard let provider = request.providerPeers.first(where: { $0.info.id == peer })?.info, peer != localPeer else {
            statistics.offers.refusedAsForeign += 1
            return
        }
        guard Self.keyLengths.contains(request.key.count), !provider.addresses.isEmpty else {
            statistics.offers.refusedAsInvalid += 1
            return
        }
        let life = max(configuration.plainRecordLife, configuration.providerStore.timeToLive)
        add(provider, for: KeySpacePosition(hashing: request.key), timeToLive: life, now: now)
    }

    private mutating func add(
        _ provider: PeerInfo,
        for position: KeySpacePosition,
        timeToLive: Duration,
        now: MonotonicTime
    ) {
        // The peer's announcement overrides its earlier miss.
        exclusions.remove(Exclusion(position: position, peer: provider.id))
        switch store.add(provider, for: position, timeToLive: timeToLive, now: now) {
        case .added:
            statistics.offers.added += 1
            recordAdded(provider, at: position, now: now)
        case .renewed: statistics.offers.renewed += 1
        case .refusedByKeyLimit: statistics.offers.refusedByKeyLimit += 1
        case .refusedByProviderLimit: statistics.offers.refusedByProviderLimit += 1
        case .refusedByTotalLimit: statistics.offers.refusedByTotalLimit += 1
        }
    }

    private func closerPeers(to position: KeySpacePosition, except asker: PeerID) -> [Message.Peer] {
        // One more than the reply holds, because the requester may be among them.
        table.closest(replication + 1, to: position)
            .filter { $0.id != asker && !$0.addresses.isEmpty }
            .prefix(replication)
            .map { Message.Peer($0) }
    }
}
