internal import Multiformats
import Time

/// The queue of peers to check before they enter the routing table.
///
/// A peer that fails its check, or fails later, is retried a few times. Its connection may have lasted, and then no
/// event would report it again.
struct AdmissionQueue: Sendable {
    /// The delays before the second, third and fourth check.
    static let retryDelays: [Duration] = [.seconds(1), .seconds(5), .seconds(30)]

    private struct Entry: Sendable {
        var info: PeerInfo
        var notBefore: MonotonicTime
        var attempts: Int
        /// Distinguishes the entry's turn from earlier ones; `nil` during its check.
        var turn: UInt64?
    }

    private struct Turn: Sendable {
        var id: PeerID
        var number: UInt64
    }

    private var entries: [PeerID: Entry] = [:]
    /// The turns by time. Removed peers and peers with a later turn leave stale entries.
    private var turns = TimerQueue<Turn>()
    private var lastTurn: UInt64 = 0
    private let limit: Int

    init(limit: Int) {
        self.limit = limit
    }

    var count: Int { entries.count }

    /// Adds a new peer.
    ///
    /// - Returns: `false` at the limit.
    mutating func add(_ info: PeerInfo, now: MonotonicTime) -> Bool {
        if let entry = entries[info.id] {
            if !info.addresses.isEmpty { entries[info.id]?.info = info }
            entries[info.id]?.attempts = 0
            if entry.turn != nil, entry.notBefore > now { giveTurn(info.id, at: now) }
            return true
        }
        guard entries.count < limit else { return false }
        entries[info.id] = Entry(info: info, notBefore: now, attempts: 0)
        giveTurn(info.id, at: now)
        return true
    }

    /// Adds a peer that failed while it was in the routing table.
    mutating func addFailed(_ info: PeerInfo, now: MonotonicTime) {
        guard entries[info.id] == nil, entries.count < limit, let delay = Self.retryDelays.first else { return }
        entries[info.id] = Entry(info: info, notBefore: now, attempts: 1)
        giveTurn(info.id, at: now + delay)
    }

    private mutating func giveTurn(_ id: PeerID, at time: MonotonicTime) {
        lastTurn &+= 1
        entries[id]?.notBefore = time
        entries[id]?.turn = lastTurn
        turns.add(Turn(id: id, number: lastTurn), at: time)
    }

    /// The time of the next check; `nil` if no peer waits.
    var nextDue: MonotonicTime? { turns.first?.time }

    /// The number of checks in flight.
    private(set) var checking = 0

    /// Takes the next peers to check, the longest waiting first, up to `limit` checks in flight.
    mutating func take(now: MonotonicTime, limit: Int) -> [PeerInfo] {
        var taken: [PeerInfo] = []
        while checking < limit, let (time, turn) = turns.first, time <= now {
            turns.removeFirst()
            guard let entry = entries[turn.id], entry.turn == turn.number else { continue }
            entries[turn.id]?.turn = nil
            checking += 1
            taken.append(entry.info)
        }
        return taken
    }

    /// Removes a peer that has passed its check, or needs none any more.
    mutating func remove(_ id: PeerID) {
        guard !entries.isEmpty, let entry = entries.removeValue(forKey: id) else { return }
        if entry.turn == nil { checking -= 1 }
        // All stale turns are dropped when no entry is left.
        if entries.isEmpty { turns = TimerQueue() }
    }

    /// Records a failed check: the peer is retried later, or dropped.
    ///
    /// - Returns: whether the peer was dropped.
    mutating func checkFailed(_ id: PeerID, now: MonotonicTime) -> Bool {
        guard let entry = entries[id] else { return false }
        if entry.turn == nil { checking -= 1 }
        guard entry.attempts < Self.retryDelays.count else {
            entries[id] = nil
            return true
        }
        entries[id]?.attempts += 1
        giveTurn(id, at: now + Self.retryDelays[entry.attempts])
        return false
    }

    // MARK: - Invariants

    /// Checks the limit, and that each peer has a turn or is being checked.
    ///
    /// - Parameter isChecked: whether a request to the peer is in flight.
    /// - Returns: what does not hold; `nil` if all does. Takes linear time.
    func checkInvariants(isChecked: (PeerID) -> Bool) -> String? {
        if let violation = turns.checkInvariants() { return violation }
        if entries.count > limit { return "admissions: too many peers" }
        if entries.values.count(where: { $0.turn == nil }) != checking { return "admissions: checks are miscounted" }
        let valid = turns.all.map(\.event).filter { entries[$0.id]?.turn == $0.number }
        if valid.count != entries.count - checking { return "admissions: a peer has no turn" }
        return entries.allSatisfy { $0.value.turn != nil || isChecked($0.key) } ? nil : "admissions: a check is lost"
    }
}
