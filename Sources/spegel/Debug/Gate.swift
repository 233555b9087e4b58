import Synchronization

/// Limits how many operations run at the same time. Operations beyond the limit are refused, not queued.
final class Gate: Sendable {
    private let limit: Int
    private let count = Mutex(0)

    init(limit: Int) {
        self.limit = limit
    }

    /// Whether an operation would run now.
    var isOpen: Bool { count.withLock { $0 < limit } }

    /// Runs an operation below the limit.
    ///
    /// - Returns: `nil` for an operation that was refused.
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

/// Runs an operation, and cancels it after a time.
///
/// - Returns: `nil` for an operation that timed out.
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
