import ContentStore
import NIOCore
import Synchronization

/// A check of content that is under way, for a task that may wait for its result.
final class PendingCheck: Sendable {
    private struct State {
        var result: ContentChecks.Result?
        var waiter: CheckedContinuation<ContentChecks.Result, Never>?
    }

    private let state = Mutex(State())

    /// What it has come to; `nil` while it goes on.
    var result: ContentChecks.Result? { state.withLock { $0.result } }

    /// It has ended.
    func finish(_ result: ContentChecks.Result) {
        let waiter = state.withLock { state in
            state.result = result
            return state.waiter.take()
        }
        waiter?.resume(returning: result)
    }

    /// Waits for the result, for so long at most; undecided it is then. One task may wait.
    func result(within timeout: Duration, on eventLoop: any EventLoop) async -> ContentChecks.Result {
        await withCheckedContinuation { continuation in
            let result = state.withLock { state in
                if state.result == nil { state.waiter = continuation }
                return state.result
            }
            if let result { return continuation.resume(returning: result) }
            eventLoop.scheduleTask(in: TimeAmount(timeout)) {
                let waiter = self.state.withLock { $0.waiter.take() }
                waiter?.resume(returning: .undecided)
            }
        }
    }
}
