import Synchronization

/// The cluster keys in force, shared by all parts of a node.
public final class KeyRing: Sendable {
    private let state: Mutex<ClusterKeys>

    /// A ring with these keys.
    public init(_ keys: ClusterKeys) {
        state = Mutex(keys)
    }

    /// The keys in force.
    public var keys: ClusterKeys { state.withLock { $0 } }

    /// Puts other keys into force.
    ///
    /// - Returns: whether they are others.
    public func change(to keys: ClusterKeys) -> Bool {
        state.withLock { current in
            guard current != keys else { return false }
            current = keys
            return true
        }
    }
}
