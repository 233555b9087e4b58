import Synchronization

/// Releases what several use once the last of them has left.
final class SharedRelease: Sendable {
    private let users: Atomic<Int>
    private let release: @Sendable () -> Void

    init(users: Int, _ release: @escaping @Sendable () -> Void) {
        self.users = Atomic(users)
        self.release = release
    }

    /// One of them needs it no more.
    func leave() {
        if users.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 { release() }
    }
}
