import Synchronization

/// A task that waits for something that happens on an event loop.
///
/// It is resumed exactly once: by the first of success, failure, and the cancellation of the task. Whoever
/// resumes it learns whether it came first, so that nothing is handed to a task that has gone.
final class Waiter<Value: Sendable>: Sendable {
    private enum State {
        case idle
        case waiting(CheckedContinuation<Value, any Error>)
        case resumed(Result<Value, any Error>)
        case done
    }

    private let state = Mutex(State.idle)

    /// Whether somebody was resumed already, or will be as soon as he waits.
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
    /// - Returns: Whether this call ended it; `false` when another did before.
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

    /// Waits to be resumed; ends with `CancellationError` when the task is cancelled. To be called once.
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
