import Synchronization

/// The places for requests that are no health checks.
final class RequestPlaces: Sendable {
    private let limit: Int
    private let taken = Mutex(0)

    /// - Parameter limit: The most requests at a time, at least one.
    init(limit: Int) {
        self.limit = max(1, limit)
    }

    /// Takes a place, if one is free.
    func take() -> Bool {
        taken.withLock { taken in
            guard taken < limit else { return false }
            taken += 1
            return true
        }
    }

    /// Gives a place back.
    func release() {
        taken.withLock { $0 -= 1 }
    }
}
