import ContentStore
import OCI
import Synchronization

/// Changes that wait to be acted on: each once, however often it was told, and no more than a bound.
final class PendingChanges: Sendable {
    /// Beyond so many single changes it is cheaper to read everything.
    static let limit = 128
    /// How long after its commit content is looked at again whose origin was not known.
    static let recheckDelays: [Duration] = [.milliseconds(200), .seconds(1), .seconds(5)]

    private struct Recheck {
        var due: ContinuousClock.Instant
        var digest: Digest
    }

    private struct State {
        var changes: Set<StoreChange> = []
        var fullDue: ContinuousClock.Instant?
        /// When to look for what was collected after a deletion: next, and after the last deletion.
        var collectionDue: ContinuousClock.Instant?
        var lastCollectionDue: ContinuousClock.Instant?
        var rechecks: [Recheck] = []
        var attempts: [Digest: Int] = [:]
    }

    private let state = Mutex(State())
    private let signal: AsyncStream<Void>.Continuation
    private let recheckSignal: AsyncStream<Void>.Continuation

    /// One element whenever something waits; ends when the listener is cancelled.
    let signals: AsyncStream<Void>
    /// One element whenever something is to be looked at again later.
    let recheckSignals: AsyncStream<Void>

    init() {
        (signals, signal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        (recheckSignals, recheckSignal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    func add(_ change: StoreChange) {
        state.withLock { state in
            if state.changes.contains(.unknown) || state.changes.count >= Self.limit {
                // A deletion is kept: it asks for another reading later.
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

    // MARK: Reading everything

    /// Sets when everything is to be read next.
    func setFullDue(_ instant: ContinuousClock.Instant) {
        state.withLock { $0.fullDue = instant }
    }

    /// Has everything read a while after a deletion, again and again as long as images are deleted.
    func setCollectionDue(_ instant: ContinuousClock.Instant) {
        state.withLock { state in
            state.lastCollectionDue = instant
            if state.collectionDue == nil { state.collectionDue = instant }
        }
    }

    /// Asks for everything to be read when it is time for that.
    func addFullIfDue(now: ContinuousClock.Instant) {
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

    // MARK: Looking again

    /// Has content looked at again soon, up to a number of times.
    func recheck(_ digest: Digest, now: ContinuousClock.Instant) {
        let waits = state.withLock { state in
            let attempt = state.attempts[digest] ?? 0
            guard attempt < Self.recheckDelays.count, state.rechecks.count < Self.limit else {
                state.attempts[digest] = nil
                return false
            }
            // Forgotten attempts only mean a few more.
            if state.attempts.count >= 2 * Self.limit { state.attempts = [:] }
            state.attempts[digest] = attempt + 1
            state.rechecks.append(Recheck(due: now + Self.recheckDelays[attempt], digest: digest))
            return true
        }
        if waits { recheckSignal.yield() }
    }

    /// When something is to be looked at again next.
    var nextRecheck: ContinuousClock.Instant? {
        state.withLock { $0.rechecks.map(\.due).min() }
    }

    /// Adds what is to be looked at again now.
    func addRechecks(now: ContinuousClock.Instant) {
        let due = state.withLock { state in
            let due = state.rechecks.filter { $0.due <= now }
            state.rechecks.removeAll { $0.due <= now }
            return due
        }
        for recheck in due { add(.contentAdded(recheck.digest)) }
    }

    /// Forgets about content whose origin is known now.
    func decided(_ digest: Digest) {
        state.withLock { _ = $0.attempts.removeValue(forKey: digest) }
    }
}
