import Synchronization

/// The running tasks of a host: stream handlers and identify exchanges.
final class TaskTracker: Sendable {
    private struct State {
        var tasks: [UInt64: Task<Void, Never>] = [:]
        var running: Set<UInt64> = []
        var nextID: UInt64 = 0
        var isClosed = false
        var idleWaiters: [Waiter<Void>] = []
    }

    private let state = Mutex(State())

    /// The number of running tasks.
    var count: Int { state.withLock { $0.running.count } }

    /// Starts a task. After ``cancelAll()`` it does nothing and returns `false`.
    ///
    /// - Parameter executor: The preferred executor; the global one by default.
    @discardableResult
    func start(
        on executor: (any TaskExecutor)? = nil,
        _ operation: @escaping @Sendable () async -> Void
    ) -> Bool {
        let id = state.withLock { state -> UInt64? in
            guard !state.isClosed else { return nil }
            state.nextID += 1
            state.running.insert(state.nextID)
            return state.nextID
        }
        guard let id else { return false }
        let task = Task(executorPreference: executor) {
            await operation()
            self.ended(id)
        }
        state.withLock { state in
            guard state.running.contains(id) else { return }
            state.tasks[id] = task
            if state.isClosed { task.cancel() }
        }
        return true
    }

    /// Rejects further tasks and cancels the running ones.
    func cancelAll() {
        let tasks = state.withLock { state in
            state.isClosed = true
            return Array(state.tasks.values)
        }
        for task in tasks { task.cancel() }
    }

    /// Waits until no task runs, or until the waiting task is cancelled.
    func waitUntilIdle() async {
        let waiter = Waiter<Void>()
        let isIdle = state.withLock { state in
            if !state.running.isEmpty { state.idleWaiters.append(waiter) }
            return state.running.isEmpty
        }
        if !isIdle { try? await waiter.wait() }
    }

    private func ended(_ id: UInt64) {
        let waiters = state.withLock { state -> [Waiter<Void>] in
            state.running.remove(id)
            state.tasks[id] = nil
            guard state.running.isEmpty else { return [] }
            defer { state.idleWaiters = [] }
            return state.idleWaiters
        }
        for waiter in waiters { waiter.resume(.success(())) }
    }
}
