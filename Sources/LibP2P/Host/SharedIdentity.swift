import Logging
import Multiformats
import Synchronization
import Time

/// What a host knows of another node with its own identity, for instance on a copy of its machine.
struct SharedIdentity {
    /// How long after a meeting the other node counts as present. Nodes that know each other's address meet every 30 s.
    static let memory = Duration.seconds(100)

    private var last: (address: String, time: MonotonicTime)?
    private var lastWarning: MonotonicTime?

    /// Notes a meeting with the other node.
    ///
    /// - Returns: Whether to log a warning.
    mutating func meet(_ address: String, now: MonotonicTime) -> Bool {
        last = (address, now)
        if let lastWarning, now - lastWarning < Self.memory { return false }
        lastWarning = now
        return true
    }

    /// The address of the other node, for a while after a meeting.
    func address(now: MonotonicTime) -> String? {
        guard let last, now - last.time < Self.memory else { return nil }
        return last.address
    }
}

extension Host {
    /// The address of another node with the identity of this host, for a while after a meeting; `nil` if there is none.
    ///
    /// Neither can connect to the other, and others take both for one.
    public var sharedIdentityAddress: String? {
        state.withLock { $0.sharedIdentity.address(now: .now) }
    }

    func meetSharedIdentity(at address: Multiaddr, _ role: YamuxSession.Role) {
        // The port of a peer that dialled is of no further meaning.
        let place = role == .listener ? address.ipAddress.map(\.text) ?? "\(address)" : "\(address)"
        guard state.withLock({ $0.sharedIdentity.meet(place, now: .now) }) else { return }
        logger.warning(
            "another node has the same identity, delete its private.key on one of the two nodes and restart that node",
            metadata: ["peer": "\(peerID)", "address": "\(place)"]
        )
    }
}
