import Synchronization

/// Counts connections up to a limit.
final class ConnectionCount: Sendable {
    private let count = Mutex(0)

    /// Counts one more, unless there are as many as the limit.
    func enter(limit: Int) -> Bool {
        count.withLock { count in
            guard count < limit else { return false }
            count += 1
            return true
        }
    }

    /// Counts one less.
    func leave() {
        count.withLock { $0 -= 1 }
    }
}
