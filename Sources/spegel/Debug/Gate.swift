import Synchronization

/// Lets so many in at a time and turns the others away.
final class Gate: Sendable {
    private let limit: Int
    private let count = Mutex(0)

    init(limit: Int) {
        self.limit = limit
    }

    /// Whether somebody would be let in now.
    var isOpen: Bool { count.withLock { $0 < limit } }

    /// Runs something unless too much of the kind is under way.
    ///
    /// - Returns: `nil` when it was turned away.
    func run<Result>(_ body: () async throws -> Result) async rethrows -> Result? {
        let isIn = count.withLock { count in
            guard count < limit else { return false }
            count += 1
            return true
        }
        guard isIn else { return nil }
        defer { count.withLock { $0 -= 1 } }
        return try await body()
    }
}

/// Runs something for at most so long; then it is cancelled.
///
/// - Returns: `nil` when it was not done in time.
func withTimeLimit<Result: Sendable>(
    _ limit: Duration,
    _ body: @escaping @Sendable () async -> Result
) async -> Result? {
    await withTaskGroup(of: Result?.self) { group in
        group.addTask { await body() }
        group.addTask {
            try? await Task.sleep(for: limit)
            return nil
        }
        let first = await group.next() ?? nil
        group.cancelAll()
        return first
    }
}
