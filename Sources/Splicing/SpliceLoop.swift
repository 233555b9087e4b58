import CSplice
import ContentStore
import Glibc
import Time

/// The work of a thread: it runs any number of transfers in turns, and sleeps in the kernel until a socket is ready.
struct SpliceLoop {
    /// The most fills of one transfer per turn.
    private static let maximumFills = 16
    /// The same for a transfer with verification, whose fills take longer.
    private static let maximumHashedFills = 4
    /// With at least `from` moving transfers, the thread sleeps `time` microseconds when no transfer has a turn left. More
    /// bytes arrive meanwhile, and larger moves cost up to a fifth less (eight transfers on two cores). A single transfer
    /// would only get slower.
    private static let nap: (from: Int, time: UInt32) = (2, 20)
    /// The time between two checks of the deadlines, in milliseconds.
    private static let interval: Int32 = 100
    /// The time without a transfer after which the loop closes idle pipes, in milliseconds.
    private static let idleTime: Int32 = 1000

    /// A transfer in flight.
    private struct Running {
        let splice: Splice
        var progress: SpliceProgress
        /// The hasher that has seen all bytes so far; `nil` without verification.
        var hasher: DigestHasher?
        /// Whether the copy pipe has no bytes.
        var copyPipeIsEmpty = true
        /// The number of bytes from the source that were reported.
        var reported: Int64 = 0
        var gathering = SourceGathering()
        /// The bytes with which the source wakes the thread.
        var lowWater = 1
        /// Whether events of the source wake the thread.
        var isSourceWatched = false
        /// Whether the transfer has its next turn without an event.
        var isDue = true
    }

    private typealias Key = UInt64

    private let inbox: SpliceInbox
    private let pipes: SplicePipePool
    private var running: [Key: Running] = [:]
    private var lastKey: Key = 0
    /// The transfers with a turn now, each once.
    private var due: [Key] = []
    private var now = MonotonicTime.now
    private var lastSweep = MonotonicTime.now
    private var keepsPipes = false
    /// The memory to hash from; `nil` until first use.
    private var buffer: HashBuffer?
    /// The number of transfers that moved bytes within the interval before the last sweep.
    private var moving = 0

    init(_ inbox: SpliceInbox, pipes: SplicePipePool) {
        self.inbox = inbox
        self.pipes = pipes
    }

    /// Runs until the inbox is closed.
    mutating func run() {
        var events = [epoll_event](repeating: epoll_event(), count: 256)
        while true {
            let count = epoll_wait(inbox.poll, &events, Int32(events.count), timeout)
            now = .now
            if count == 0, running.isEmpty {
                pipes.clear()
                buffer = nil
                keepsPipes = false
            }
            for event in events.prefix(Int(max(0, count))) {
                if event.data.u64 == SpliceInbox.eventData {
                    guard takeInbox() else { return endAll() }
                } else {
                    socketIsReady(event.data.u64)
                }
            }
            sweep()
            let turns = due
            due = []
            for key in turns { takeTurn(key) }
            if !turns.isEmpty, due.isEmpty, moving >= Self.nap.from { usleep(Self.nap.time) }
        }
    }

    /// The longest sleep, in milliseconds; -1 means without limit.
    private var timeout: Int32 {
        if !due.isEmpty { return 0 }
        if !running.isEmpty { return Self.interval }
        return keepsPipes ? Self.idleTime : -1
    }

    /// - Returns: `false` if the thread shall end.
    private mutating func takeInbox() -> Bool {
        let new = inbox.take()
        keepsPipes = true
        for splice in new.begun { begin(splice) }
        if new.hasStopped {
            for (key, entry) in running where entry.splice.isStopped || entry.splice.isLeaving {
                if entry.splice.isStopped {
                    running[key]?.progress.stop()
                } else {
                    running[key]?.progress.stopWhenEmpty()
                }
                makeDue(key)
            }
        }
        return !new.isClosed
    }

    private mutating func begin(_ splice: Splice) {
        lastKey += 1
        running[lastKey] = Running(splice: splice, progress: splice.start, hasher: splice.verification?.hasher)
        due.append(lastKey)
        // Edge-triggered: one event each time that the full socket has room again.
        let events = EPOLLOUT.rawValue | EPOLLET.rawValue
        let isWatched = inbox.watch(splice.destination.number, events, data: lastKey << 1 | 1)
        if !isWatched { running[lastKey]?.progress.stop() }
        watchSource(lastKey)
    }

    private mutating func socketIsReady(_ data: UInt64) {
        let key = data >> 1
        guard running[key] != nil else { return }
        if data & 1 == 1 {
            running[key]?.progress.destinationBecameReady()
        } else {
            running[key]?.progress.sourceBecameReady()
            // Level-triggered: a source that stays ready would wake the thread again and again while the destination blocks.
            if case .waitForDestination = running[key]?.progress.step { unwatchSource(key) }
        }
        makeDue(key)
    }

    private mutating func makeDue(_ key: Key) {
        guard running[key]?.isDue == false else { return }
        running[key]?.isDue = true
        due.append(key)
    }

    /// Ends the transfers whose deadline has passed.
    private mutating func sweep() {
        guard now - lastSweep >= .milliseconds(Self.interval) else { return }
        moving = running.values.count { $0.progress.lastMove + .milliseconds(Self.interval) > now }
        lastSweep = now
        for (key, entry) in running where !entry.isDue {
            if entry.lowWater > 1, entry.progress.lastMove + SourceGathering.patience <= now {
                running[key]?.gathering.fellSilent()
                running[key]?.progress.sourceBecameReady()
                makeDue(key)
                continue
            }
            guard let deadline = entry.progress.deadline, deadline <= now else { continue }
            running[key]?.progress.timePassed(now: now)
            makeDue(key)
        }
    }

    private mutating func watchSource(_ key: Key) {
        guard let entry = running[key], !entry.isSourceWatched else { return }
        running[key]?.isSourceWatched = inbox.watch(
            entry.splice.source.number,
            EPOLLIN.rawValue | EPOLLRDHUP.rawValue,
            data: key << 1
        )
    }

    private mutating func unwatchSource(_ key: Key) {
        guard let entry = running[key], entry.isSourceWatched else { return }
        inbox.unwatch(entry.splice.source.number)
        running[key]?.isSourceWatched = false
    }

    /// Moves what can move now.
    private mutating func takeTurn(_ key: Key) {
        guard var entry = running.removeValue(forKey: key) else { return }
        let isDone = move(&entry)
        if case .end(let end) = entry.progress.step { return finish(entry, end) }
        entry.isDue = !isDone
        running[key] = entry
        if !isDone { due.append(key) }
        if case .waitForSource = entry.progress.step {
            gather(key)
            watchSource(key)
        }
    }

    /// Has the source wake the thread when enough has come.
    private mutating func gather(_ key: Key) {
        guard let entry = running[key] else { return }
        let lowWater = entry.gathering.lowWater(missing: entry.progress.total - entry.progress.received)
        guard lowWater != entry.lowWater, entry.splice.source.setLowWater(lowWater) else { return }
        running[key]?.lowWater = lowWater
    }

    /// - Returns: `false` if the turn ended while more could move.
    private mutating func move(_ entry: inout Running) -> Bool {
        let splice = entry.splice
        let maximumFills = splice.verification == nil ? Self.maximumFills : Self.maximumHashedFills
        var fills = 0
        defer {
            splice.delivered = entry.progress.delivered
            Self.report(&entry, atLeast: Splice.bytesBetweenReports)
        }
        while true {
            switch entry.progress.step {
            case .fill(let count):
                guard fills < maximumFills else { return false }
                fills += 1
                let outcome = splice.pipe.fill(from: splice.source.number, count)
                if case .moved(let moved) = outcome { entry.gathering.received(Int64(moved), now: now) }
                entry.progress.filled(outcome, now: now)
            case .hash(let count): entry.progress.hashed(hash(count, &entry))
            case .verify:
                entry.progress.verified(matches: entry.hasher?.finish() == splice.verification?.expected)
            case .drain(let count):
                entry.progress.drained(splice.pipe.drain(to: splice.destination.number, count), now: now)
            case .waitForDestination:
                splice.markBlocked()
                return true
            case .waitForSource, .end: return true
            }
        }
    }

    private mutating func hash(_ count: Int, _ entry: inout Running) -> MoveOutcome {
        let buffer = self.buffer ?? HashBuffer()
        self.buffer = buffer
        guard let copyPipe = entry.splice.copyPipe, var hasher = entry.hasher else { return .failed(EINVAL) }
        let outcome = entry.splice.pipe.copy(to: copyPipe, count)
        guard case .moved(let copied) = outcome else { return outcome }
        // The entry gives its hasher away meanwhile: there is one reference, so that no update copies it. A failed read
        // loses the hasher, which has seen only some of the bytes then.
        entry.hasher = nil
        entry.copyPipeIsEmpty = false
        let failure = buffer.read(copied, from: copyPipe) { hasher.update($0) }
        if let failure { return failure }
        entry.copyPipeIsEmpty = true
        entry.hasher = hasher
        return outcome
    }

    private static func report(_ entry: inout Running, atLeast limit: Int64) {
        let new = entry.progress.received - entry.reported
        guard new >= limit else { return }
        entry.reported = entry.progress.received
        entry.splice.onBytes(Int(clamping: new))
    }

    private func finish(_ entry: Running, _ end: SpliceProgress.End) {
        var entry = entry
        let splice = entry.splice
        let progress = entry.progress
        if entry.isSourceWatched { inbox.unwatch(splice.source.number) }
        inbox.unwatch(splice.destination.number)
        splice.destination.close()
        // The next answer on this connection may be small.
        if entry.lowWater > 1 { _ = splice.source.setLowWater(1) }
        if end != .complete { splice.source.close() }
        if progress.piped == 0 { pipes.put(splice.pipe) }
        if let copyPipe = splice.copyPipe, entry.copyPipeIsEmpty { pipes.put(copyPipe) }
        splice.delivered = progress.delivered
        Self.report(&entry, atLeast: 1)
        let hasher = progress.hashed == progress.delivered ? entry.hasher : nil
        splice.onEnd(SpliceResult(end: end, delivered: progress.delivered, hasher: hasher))
    }

    private mutating func endAll() {
        for entry in running.values { finish(entry, .stopped) }
        running = [:]
    }
}
