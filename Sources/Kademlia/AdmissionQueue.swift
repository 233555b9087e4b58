internal import Multiformats
import Time

/// The peers that are to be checked before they enter the routing table.
///
/// A peer that fails its check, or that fails later on, is tried again a few times: its connection may well have lasted,
/// in which case nobody would announce it anew.
struct AdmissionQueue: Sendable {
    /// The waits before the second, third and fourth check.
    static let retryDelays: [Duration] = [.seconds(1), .seconds(5), .seconds(30)]

    private struct Entry: Sendable {
        var info: PeerInfo
        var notBefore: MonotonicTime
        var attempts: Int
        /// Tells the entry's turn from those it had before; nil while it is being checked.
        var turn: UInt64?
    }

    private struct Turn: Sendable {
        var id: PeerID
        var number: UInt64
    }

    private var entries: [PeerID: Entry] = [:]
    /// Whose turn it is when. Peers that have gone, or have another turn, leave stale ones behind.
    private var turns = TimerQueue<Turn>()
    private var lastTurn: UInt64 = 0
    private let limit: Int

    init(limit: Int) {
        self.limit = limit
    }

    var count: Int { entries.count }

    /// Puts in a peer that appeared.
    ///
    /// - Returns: false if there is no room.
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

    /// Puts in a peer that was in the routing table and failed.
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

    /// When the next peer may have to be checked that is not being checked already; nil if there is none.
    var nextDue: MonotonicTime? { turns.first?.time }

    /// How many peers are being checked.
    private(set) var checking = 0

    /// The peers to check now, those that have waited longest first, such that at most `limit` are being checked at a
    /// time.
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

    /// Notes that a peer has passed its check, or is none to be checked any more.
    mutating func remove(_ id: PeerID) {
        guard !entries.isEmpty, let entry = entries.removeValue(forKey: id) else { return }
        if entry.turn == nil { checking -= 1 }
        // What is stale goes at the latest when everybody has.
        if entries.isEmpty { turns = TimerQueue() }
    }

    /// Notes that a check failed: the peer is tried again later, or given up.
    ///
    /// - Returns: whether it was given up.
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
}
