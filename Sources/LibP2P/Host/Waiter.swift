import Synchronization

/// A task that waits for an event of an event loop.
///
/// It is resumed exactly once: by the first of success, failure, and cancellation of the task. Each attempt to resume
/// it returns whether it was the first, so that no value is lost to a cancelled task.
final class Waiter<Value: Sendable>: Sendable {
    private enum State {
        case idle
        case waiting(CheckedContinuation<Value, any Error>)
        case resumed(Result<Value, any Error>)
        case done
    }

    private let state = Mutex(State.idle)

    /// Whether the waiter was resumed, or will be as soon as it waits.
    var isResumed: Bool {
        state.withLock { state in
            switch state {
            case .idle, .waiting: false
            case .resumed, .done: true
            }
        }
    }

    /// Ends the wait.
    ///
    /// - Returns: Whether this call ended it; `false` after an earlier one.
    @discardableResult
    func resume(_ result: Result<Value, any Error>) -> Bool {
        let (isFirst, continuation) = state.withLock {
            state -> (Bool, CheckedContinuation<Value, any Error>?) in
            switch state {
            case .idle:
                state = .resumed(result)
                return (true, nil)
            case .waiting(let continuation):
                state = .done
                return (true, continuation)
            case .resumed, .done:
                return (false, nil)
            }
        }
        continuation?.resume(with: result)
        return isFirst
    }

    /// Waits to be resumed. Throws `CancellationError` when the task is cancelled. Call it once.
    func wait() async throws -> Value {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let early = state.withLock { state -> Result<Value, any Error>? in
                    switch state {
                    case .resumed(let result):
                        state = .done
                        return result
                    case .idle, .waiting, .done:
                        state = .waiting(continuation)
                        return nil
                    }
                }
                if let early { continuation.resume(with: early) }
            }
        } onCancel: {
            resume(.failure(CancellationError()))
        }
    }
}
