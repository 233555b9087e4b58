import ContentStore
import Synchronization

/// Passes changes from the event subscription to one iterating task through a ``ChangeQueue``.
final class ChangeChannel: Sendable {
    private enum Ending {
        case none
        case failed(any Error)
        case finished
    }

    private struct State {
        var queue: ChangeQueue
        var ending = Ending.none
        var waiters: [CheckedContinuation<Void, Never>] = []

        /// Whether there is nothing to return yet.
        var isIdle: Bool {
            guard queue.count == 0, case .none = ending else { return false }
            return true
        }
    }

    private let state: Mutex<State>

    /// Creates a channel for at most `limit` waiting changes.
    init(limit: Int) {
        state = Mutex(State(queue: ChangeQueue(limit: limit)))
    }

    /// Appends a change. Drops it after the end of the channel.
    func send(_ change: StoreChange) {
        let waiters = state.withLock { state in
            guard case .none = state.ending else { return [CheckedContinuation<Void, Never>]() }
            state.queue.append(change)
            return Self.takeWaiters(&state)
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Ends the channel: it returns the waiting changes, then throws the error once.
    func fail(_ error: any Error) {
        let waiters = state.withLock { state in
            if case .none = state.ending { state.ending = .failed(error) }
            return Self.takeWaiters(&state)
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Waits for the next change. Returns `nil` after the end, or when the calling task is cancelled.
    func next() async throws -> StoreChange? {
        while true {
            let result: Result<StoreChange?, any Error>? = state.withLock { state in
                if let change = state.queue.popFirst() { return .success(change) }
                switch state.ending {
                case .none: return nil
                case .finished: return .success(nil)
                case .failed(let error):
                    state.ending = .finished
                    return .failure(error)
                }
            }
            if let result { return try result.get() }
            if Task.isCancelled { return nil }
            await wait()
        }
    }

    /// Returns when a change may be available, or the calling task is cancelled.
    private func wait() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let waits = state.withLock { state in
                    // The cancellation handler may have run before and found no waiter.
                    guard state.isIdle, !Task.isCancelled else { return false }
                    state.waiters.append(continuation)
                    return true
                }
                if !waits { continuation.resume() }
            }
        } onCancel: {
            // Wakes all waiters; those that are not cancelled wait again.
            let waiters = state.withLock { Self.takeWaiters(&$0) }
            for waiter in waiters { waiter.resume() }
        }
    }

    private static func takeWaiters(_ state: inout State) -> [CheckedContinuation<Void, Never>] {
        defer { state.waiters = [] }
        return state.waiters
    }
}
