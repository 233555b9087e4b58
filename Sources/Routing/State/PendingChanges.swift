import ContentStore
import Synchronization

/// Changes that wait to be acted on: each once, however often it was told, and no more than a bound.
final class PendingChanges: Sendable {
    /// Beyond so many single changes it is cheaper to read everything.
    static let limit = 1024

    private struct State {
        var changes: Set<StoreChange> = []
        var fullDue: ContinuousClock.Instant?
    }

    private let state = Mutex(State())
    private let signal: AsyncStream<Void>.Continuation

    /// One element whenever something waits; ends when the listener is cancelled.
    let signals: AsyncStream<Void>

    init() {
        (signals, signal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    func add(_ change: StoreChange) {
        state.withLock { state in
            if state.changes.count >= Self.limit { state.changes = [.unknown] }
            state.changes.insert(change)
        }
        signal.yield()
    }

    func take() -> Set<StoreChange> {
        state.withLock { state in
            defer { state.changes = [] }
            return state.changes
        }
    }

    /// Sets when everything is to be read next.
    func setFullDue(_ instant: ContinuousClock.Instant) {
        state.withLock { $0.fullDue = instant }
    }

    /// Asks for everything to be read when it is time for that.
    func addFullIfDue(now: ContinuousClock.Instant) {
        let isDue = state.withLock { state in
            guard let due = state.fullDue, due <= now else { return false }
            state.fullDue = nil
            return true
        }
        if isDue { add(.unknown) }
    }
}
