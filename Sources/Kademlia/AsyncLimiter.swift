internal import Synchronization

/// Lets so many operations run at a time; the others wait in order of arrival, and stop waiting when cancelled.
final class AsyncLimiter: Sendable {
    private struct State {
        var free: Int
        var nextTicket: UInt64 = 0
        var waiting: [UInt64: CheckedContinuation<Void, any Error>] = [:]
        /// Tickets in order of arrival; those that were cancelled are no longer in `waiting`.
        var order: [UInt64] = []
    }

    private let state: Mutex<State>

    init(limit: Int) {
        state = Mutex(State(free: max(1, limit)))
    }

    /// Runs the operation when there is room for it.
    ///
    /// - Throws: `CancellationError` if the task was cancelled before there was.
    func run<Result>(_ operation: () async throws -> Result) async throws -> Result {
        try await enter()
        defer { leave() }
        return try await operation()
    }

    private func enter() async throws {
        let ticket = state.withLock { state in
            state.nextTicket &+= 1
            return state.nextTicket
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let now: Swift.Result<Void, any Error>? = state.withLock { state in
                    // The handler may have run before there was a continuation for it to resume.
                    guard !Task.isCancelled else { return .failure(CancellationError()) }
                    guard state.free == 0 else {
                        state.free -= 1
                        return .success(())
                    }
                    state.waiting[ticket] = continuation
                    state.order.append(ticket)
                    return nil
                }
                if let now { continuation.resume(with: now) }
            }
        } onCancel: {
            state.withLock { $0.waiting.removeValue(forKey: ticket) }?.resume(throwing: CancellationError())
        }
    }

    private func leave() {
        let next = state.withLock { state -> CheckedContinuation<Void, any Error>? in
            var position = 0
            defer { state.order.removeFirst(position) }
            while position < state.order.count {
                position += 1
                if let next = state.waiting.removeValue(forKey: state.order[position - 1]) { return next }
            }
            state.free += 1
            return nil
        }
        next?.resume()
    }
}
