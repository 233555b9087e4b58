internal import Synchronization

/// The tasks of the searches under way, so that none outlives the node's service.
final class SearchRegistry: Sendable {
    private struct State {
        var tasks: [UInt64: Task<Void, Never>] = [:]
        var nextID: UInt64 = 0
        var isClosed = false
    }

    private let state = Mutex(State())

    /// How many are under way.
    var count: Int { state.withLock { $0.tasks.count } }

    /// Starts a task that is forgotten when it ends.
    ///
    /// - Returns: nil, with nothing started, after ``close()``.
    func start(_ operation: @escaping @Sendable () async -> Void) -> Task<Void, Never>? {
        state.withLock { state in
            guard !state.isClosed else { return nil }
            let id = state.nextID
            state.nextID &+= 1
            // The task cannot take itself out before it stands in the table, as that takes the same lock.
            let task = Task {
                await operation()
                self.state.withLock { $0.tasks[id] = nil }
            }
            state.tasks[id] = task
            return task
        }
    }

    /// Cancels all and lets none start any more.
    func close() {
        let tasks = state.withLock { state in
            state.isClosed = true
            return Array(state.tasks.values)
        }
        for task in tasks { task.cancel() }
    }
}
