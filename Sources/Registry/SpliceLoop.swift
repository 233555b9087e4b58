import CSplice
import ContentStore
import Glibc
import NIOCore

/// What a ``SpliceThread`` does: it moves bodies from socket to socket, as many as there are at a time, and sleeps in
/// the kernel until one of the sockets is ready.
struct SpliceLoop {
    /// How many times a transfer may fill its pipe before the others have their turn.
    private static let maximumFills = 16
    /// The same for one whose bytes are hashed, which takes longer.
    private static let maximumHashedFills = 4
    /// From how many transfers on that move, and for how many microseconds at least, the thread sleeps when nothing is left:
    /// more comes meanwhile, and what is moved at a time costs up to a fifth less (eight transfers on two cores). One transfer
    /// alone would only be slower for it.
    private static let nap: (from: Int, time: UInt32) = (2, 20)
    /// How often deadlines are looked at while there are transfers, in milliseconds.
    private static let interval: Int32 = 100
    /// After how many milliseconds without a transfer the pipes that are kept are closed.
    private static let idleTime: Int32 = 1000

    /// A transfer that is under way.
    private struct Running {
        let splice: Splice
        var progress: SpliceProgress
        /// What has seen all bytes so far, where they are hashed.
        var hasher: DigestHasher?
        /// Whether all that was copied to the pipe at the side was read from there.
        var sideIsEmpty = true
        /// How many of the bytes from the peer were told.
        var reported: Int64 = 0
        /// Whether the system tells of what the peer sends.
        var isPeerWatched = false
        /// Whether its turn comes though no event may.
        var isDue = true
    }

    private typealias Key = UInt64

    private let inbox: SpliceInbox
    private let pipes: SplicePipes
    private var running: [Key: Running] = [:]
    private var lastKey: Key = 0
    /// Those whose turn it is, each once.
    private var due: [Key] = []
    private var now = NIODeadline.now()
    private var lastSweep = NIODeadline.now()
    private var keepsPipes = false
    /// What bytes are read into to be hashed; made when it is first needed.
    private var buffer: SpliceBuffer?
    /// How many transfers have moved of late.
    private var moving = 0

    init(_ inbox: SpliceInbox, pipes: SplicePipes) {
        self.inbox = inbox
        self.pipes = pipes
    }

    /// Works until the inbox is closed.
    mutating func run() {
        var events = [epoll_event](repeating: epoll_event(), count: 256)
        while true {
            let count = epoll_wait(inbox.poll, &events, Int32(events.count), timeout)
            now = .now()
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

    /// In milliseconds; -1 for ever.
    private var timeout: Int32 {
        if !due.isEmpty { return 0 }
        if !running.isEmpty { return Self.interval }
        return keepsPipes ? Self.idleTime : -1
    }

    /// - Returns: `false` when the thread is to end.
    private mutating func takeInbox() -> Bool {
        let new = inbox.take()
        keepsPipes = true
        for splice in new.begun { begin(splice) }
        if new.hasStopped {
            for (key, entry) in running where entry.splice.isStopped {
                running[key]?.progress.stop()
                makeDue(key)
            }
        }
        return !new.isClosed
    }

    private mutating func begin(_ splice: Splice) {
        lastKey += 1
        running[lastKey] = Running(splice: splice, progress: splice.start, hasher: splice.check?.hasher)
        due.append(lastKey)
        // Told of once, each time that there is room again after there was none.
        let isWatched = inbox.watch(splice.client.number, EPOLLOUT.rawValue | EPOLLET.rawValue, data: lastKey << 1 | 1)
        if !isWatched { running[lastKey]?.progress.stop() }
        watchPeer(lastKey)
    }

    private mutating func socketIsReady(_ data: UInt64) {
        let key = data >> 1
        guard running[key] != nil else { return }
        if data & 1 == 1 {
            running[key]?.progress.clientBecameReady()
        } else {
            running[key]?.progress.peerBecameReady()
            // What goes on being ready while the client takes nothing is not to wake the thread over and over.
            if case .waitForClient = running[key]?.progress.step { unwatchPeer(key) }
        }
        makeDue(key)
    }

    private mutating func makeDue(_ key: Key) {
        guard running[key]?.isDue == false else { return }
        running[key]?.isDue = true
        due.append(key)
    }

    /// Looks for peers that have sent nothing for too long.
    private mutating func sweep() {
        guard now - lastSweep >= .milliseconds(Int64(Self.interval)) else { return }
        moving = running.values.count { $0.progress.lastMove + .milliseconds(Int64(Self.interval)) > now }
        lastSweep = now
        for (key, entry) in running where !entry.isDue {
            guard let deadline = entry.progress.deadline, deadline <= now else { continue }
            running[key]?.progress.timePassed(now: now)
            makeDue(key)
        }
    }

    private mutating func watchPeer(_ key: Key) {
        guard let entry = running[key], !entry.isPeerWatched else { return }
        running[key]?.isPeerWatched = inbox.watch(
            entry.splice.peer.number,
            EPOLLIN.rawValue | EPOLLRDHUP.rawValue,
            data: key << 1
        )
    }

    private mutating func unwatchPeer(_ key: Key) {
        guard let entry = running[key], entry.isPeerWatched else { return }
        inbox.unwatch(entry.splice.peer.number)
        running[key]?.isPeerWatched = false
    }

    /// Moves what can be moved now.
    private mutating func takeTurn(_ key: Key) {
        guard var entry = running.removeValue(forKey: key) else { return }
        let isDone = move(&entry)
        if case .end(let end) = entry.progress.step { return finish(entry, end) }
        entry.isDue = !isDone
        running[key] = entry
        if !isDone { due.append(key) }
        if case .waitForPeer = entry.progress.step { watchPeer(key) }
    }

    /// - Returns: whether nothing more can be moved now.
    private mutating func move(_ entry: inout Running) -> Bool {
        let splice = entry.splice
        let maximumFills = splice.check == nil ? Self.maximumFills : Self.maximumHashedFills
        var fills = 0
        defer {
            splice.given = entry.progress.given
            Self.report(&entry, atLeast: Splice.bytesBetweenReports)
        }
        while true {
            switch entry.progress.step {
            case .fill(let count):
                guard fills < maximumFills else { return false }
                fills += 1
                entry.progress.filled(splice.pipe.fill(from: splice.peer.number, count), now: now)
            case .hash(let count): entry.progress.hashed(hash(count, &entry))
            case .check: entry.progress.checked(matches: entry.hasher?.finish() == splice.check?.digest)
            case .drain(let count):
                entry.progress.drained(splice.pipe.drain(to: splice.client.number, count), now: now)
            case .waitForPeer, .waitForClient, .end: return true
            }
        }
    }

    private mutating func hash(_ count: Int, _ entry: inout Running) -> SpliceProgress.Outcome {
        let buffer = self.buffer ?? SpliceBuffer()
        self.buffer = buffer
        guard let side = entry.splice.side, var hasher = entry.hasher else { return .failed(EINVAL) }
        let outcome = entry.splice.pipe.copy(to: side, count)
        guard case .moved(let copied) = outcome else { return outcome }
        // Out of the entry meanwhile, so that it is not copied, and lost if not all can be read.
        entry.hasher = nil
        entry.sideIsEmpty = false
        let failure = buffer.read(copied, from: side) { hasher.update($0) }
        if let failure { return failure }
        entry.sideIsEmpty = true
        entry.hasher = hasher
        return outcome
    }

    private static func report(_ entry: inout Running, atLeast limit: Int64) {
        let new = entry.progress.taken - entry.reported
        guard new >= limit else { return }
        entry.reported = entry.progress.taken
        entry.splice.onBytes(Int(clamping: new))
    }

    private func finish(_ entry: Running, _ end: SpliceProgress.End) {
        var entry = entry
        let splice = entry.splice
        if entry.isPeerWatched { inbox.unwatch(splice.peer.number) }
        inbox.unwatch(splice.client.number)
        splice.client.close()
        if end != .complete { splice.peer.close() }
        if entry.progress.piped == 0 { pipes.put(splice.pipe) }
        if let side = splice.side, entry.sideIsEmpty { pipes.put(side) }
        splice.given = entry.progress.given
        Self.report(&entry, atLeast: 1)
        let hasher = entry.progress.hashed == entry.progress.given ? entry.hasher : nil
        splice.onEnd(SpliceResult(end: end, given: entry.progress.given, hasher: hasher))
    }

    private mutating func endAll() {
        for entry in running.values { finish(entry, .stopped) }
        running = [:]
    }
}
