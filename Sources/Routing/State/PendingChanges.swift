import ContentStore
import OCI
import Synchronization
import Time

/// The bounded set of changes to handle, each once.
final class PendingChanges: Sendable {
    /// The number of single changes above which reading everything is cheaper.
    static let limit = 128
    /// When to check content of unknown origin again after its commit.
    static let recheckDelays: [Duration] = [.milliseconds(200), .seconds(1), .seconds(5)]

    private struct Recheck {
        var due: MonotonicTime
        var digest: Digest
    }

    private struct State {
        var changes: Set<StoreChange> = []
        var fullDue: MonotonicTime?
        /// When to look for garbage-collected content after a deletion: the next time, and the time after the last
        /// deletion.
        var collectionDue: MonotonicTime?
        var lastCollectionDue: MonotonicTime?
        var rechecks: [Recheck] = []
        var attempts: [Digest: Int] = [:]
    }

    private let state = Mutex(State())
    private let signal: AsyncStream<Void>.Continuation
    private let recheckSignal: AsyncStream<Void>.Continuation

    /// An element whenever a change is pending. Ends when the listener is cancelled.
    let signals: AsyncStream<Void>
    /// An element whenever a recheck is due later.
    let recheckSignals: AsyncStream<Void>

    init() {
        (signals, signal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        (recheckSignals, recheckSignal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    func add(_ change: StoreChange) {
        state.withLock { state in
            if state.changes.contains(.unknown) || state.changes.count >= Self.limit {
                // Keep a deletion: it requires another full reading later.
                let deletion = state.changes.first(where: \.isDeletion) ?? (change.isDeletion ? change : nil)
                state.changes = [.unknown]
                if let deletion { state.changes.insert(deletion) }
            } else {
                state.changes.insert(change)
            }
        }
        signal.yield()
    }

    func take() -> Set<StoreChange> {
        state.withLock { state in
            defer { state.changes = [] }
            return state.changes
        }
    }

    // MARK: Full readings

    /// Sets the time of the next full reading.
    func setFullDue(_ instant: MonotonicTime) {
        state.withLock { $0.fullDue = instant }
    }

    /// Schedules a full reading some time after a deletion, repeatedly while images are deleted.
    func setCollectionDue(_ instant: MonotonicTime) {
        state.withLock { state in
            state.lastCollectionDue = instant
            if state.collectionDue == nil { state.collectionDue = instant }
        }
    }

    /// Adds a full reading if it is due.
    func addFullIfDue(now: MonotonicTime) {
        let isDue = state.withLock { state in
            var isDue = false
            if let due = state.fullDue, due <= now {
                state.fullDue = nil
                isDue = true
            }
            if let due = state.collectionDue, due <= now {
                state.collectionDue = state.lastCollectionDue.flatMap { $0 > now ? $0 : nil }
                isDue = true
            }
            return isDue
        }
        if isDue { add(.unknown) }
    }

    // MARK: Rechecks

    /// Schedules a recheck of content soon, up to a maximum number of times.
    func recheck(_ digest: Digest, now: MonotonicTime) {
        let waits = state.withLock { state in
            let attempt = state.attempts[digest] ?? 0
            guard attempt < Self.recheckDelays.count, state.rechecks.count < Self.limit else {
                state.attempts[digest] = nil
                return false
            }
            // Dropped counts of attempts only cause a few more.
            if state.attempts.count >= 2 * Self.limit { state.attempts = [:] }
            state.attempts[digest] = attempt + 1
            state.rechecks.append(Recheck(due: now + Self.recheckDelays[attempt], digest: digest))
            return true
        }
        if waits { recheckSignal.yield() }
    }

    /// The time of the next recheck.
    var nextRecheck: MonotonicTime? {
        state.withLock { $0.rechecks.map(\.due).min() }
    }

    /// Adds the rechecks that are due.
    func addRechecks(now: MonotonicTime) {
        let due = state.withLock { state in
            let due = state.rechecks.filter { $0.due <= now }
            state.rechecks.removeAll { $0.due <= now }
            return due
        }
        for recheck in due { add(.contentAdded(recheck.digest)) }
    }

    /// Drops the rechecks of content whose origin is known now.
    func decided(_ digest: Digest) {
        state.withLock { _ = $0.attempts.removeValue(forKey: digest) }
    }
}
