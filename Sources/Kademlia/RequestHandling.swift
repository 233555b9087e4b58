internal import Multiformats

/// The server's side of the protocol (libp2p/specs, kad-dht, "RPC messages").
extension NodeState {
    /// The lengths a key may have, in bytes.
    static let keyLengths = 1...80

    /// Answers a request of an authenticated peer.
    ///
    /// - Parameter local: this node and where it is reached.
    /// - Returns: the answer, if there is one; and the record, if one was added that was not held before.
    mutating func handle(
        _ request: Message,
        from peer: PeerID,
        local: PeerInfo,
        now: MonotonicTime
    ) -> (reply: Message?, added: AddedRecord?) {
        table.seen(peer, now: now)
        switch request.kind {
        case .ping: return (request, nil)
        case .findNode: return (findNode(request, from: peer, local: local), nil)
        case .getProviders: return (getProviders(request, from: peer, local: local, now: now), nil)
        case .addProvider: return (nil, addProvider(request, from: peer, now: now))
        default: return (nil, nil)
        }
    }

    struct AddedRecord {
        var position: KeySpacePosition
        var provider: PeerInfo
    }

    private func findNode(_ request: Message, from peer: PeerID, local: PeerInfo) -> Message? {
        guard Self.keyLengths.contains(request.key.count) else { return nil }
        var closer = closerPeers(to: KeySpacePosition(hashing: request.key), except: peer)
        // A node names itself to those alone who ask for it: so they check that it serves the protocol, and others take
        // an empty answer for a failed check. A target that is in the table is the closest, so it comes first anyway.
        if request.key == localPeer.bytes, !local.addresses.isEmpty {
            closer.insert(Message.Peer(local, connection: .connected), at: 0)
        }
        return Message(kind: .findNode, closerPeers: closer)
    }

    private func getProviders(
        _ request: Message,
        from peer: PeerID,
        local: PeerInfo,
        now: MonotonicTime
    ) -> Message? {
        guard Self.keyLengths.contains(request.key.count) else { return nil }
        let position = KeySpacePosition(hashing: request.key)
        var providers = store.providers(for: position, now: now)
        if let key = Key(bytes: request.key), schedule.contains(key), !local.addresses.isEmpty {
            providers.insert(local, at: 0)
        }
        return Message(
            kind: .getProviders,
            key: request.key,
            closerPeers: closerPeers(to: position, except: peer),
            providerPeers: providers.prefix(Message.Limits.peers).map { Message.Peer($0) }
        )
    }

    private mutating func addProvider(_ request: Message, from peer: PeerID, now: MonotonicTime) -> AddedRecord? {
        guard Self.keyLengths.contains(request.key.count) else { return nil }
        // A peer may speak for itself alone.
        let entry = request.providerPeers.first { $0.info.id == peer && !$0.info.addresses.isEmpty }
        guard let provider = entry?.info else { return nil }
        let position = KeySpacePosition(hashing: request.key)
        guard store.add(provider, for: position, now: now) == .added else { return nil }
        return AddedRecord(position: position, provider: provider)
    }

    private func closerPeers(to position: KeySpacePosition, except asker: PeerID) -> [Message.Peer] {
        // One more than are given, as the asker may be among them.
        table.closest(replication + 1, to: position)
            .filter { $0.id != asker && !$0.addresses.isEmpty }
            .prefix(replication)
            .map { Message.Peer($0) }
    }
}
