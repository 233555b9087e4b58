internal import Multiformats

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
        var isBeingChecked = false
    }

    private var entries: [PeerID: Entry] = [:]
    private let limit: Int

    init(limit: Int) {
        self.limit = limit
    }

    var count: Int { entries.count }

    /// Puts in a peer that appeared.
    ///
    /// - Returns: false if there is no room.
    mutating func add(_ info: PeerInfo, now: MonotonicTime) -> Bool {
        if entries[info.id] != nil {
            if !info.addresses.isEmpty { entries[info.id]?.info = info }
            entries[info.id]?.notBefore = now
            entries[info.id]?.attempts = 0
            return true
        }
        guard entries.count < limit else { return false }
        entries[info.id] = Entry(info: info, notBefore: now, attempts: 0)
        return true
    }

    /// Puts in a peer that was in the routing table and failed.
    mutating func addFailed(_ info: PeerInfo, now: MonotonicTime) {
        guard entries[info.id] == nil, entries.count < limit, let delay = Self.retryDelays.first else { return }
        entries[info.id] = Entry(info: info, notBefore: now + delay, attempts: 1)
    }

    /// When the next peer is to be checked that is not being checked already; nil if there is none.
    var nextDue: MonotonicTime? {
        entries.isEmpty ? nil : entries.values.lazy.filter { !$0.isBeingChecked }.map(\.notBefore).min()
    }

    /// How many peers are being checked.
    private(set) var checking = 0

    /// The peers to check now, such that at most `limit` are being checked at a time.
    mutating func take(now: MonotonicTime, limit: Int) -> [PeerInfo] {
        guard checking < limit, !entries.isEmpty else { return [] }
        var room = limit - checking
        var taken: [PeerInfo] = []
        for (id, entry) in entries where !entry.isBeingChecked && entry.notBefore <= now {
            guard room > 0 else { break }
            room -= 1
            checking += 1
            entries[id]?.isBeingChecked = true
            taken.append(entry.info)
        }
        return taken
    }

    /// Notes that a peer has passed its check, or is none to be checked any more.
    mutating func remove(_ id: PeerID) {
        guard !entries.isEmpty, let entry = entries.removeValue(forKey: id) else { return }
        if entry.isBeingChecked { checking -= 1 }
    }

    /// Notes that a check failed: the peer is tried again later, or given up.
    ///
    /// - Returns: whether it was given up.
    mutating func checkFailed(_ id: PeerID, now: MonotonicTime) -> Bool {
        guard var entry = entries[id] else { return false }
        if entry.isBeingChecked { checking -= 1 }
        guard entry.attempts < Self.retryDelays.count else {
            entries[id] = nil
            return true
        }
        entry.notBefore = now + Self.retryDelays[entry.attempts]
        entry.attempts += 1
        entry.isBeingChecked = false
        entries[id] = entry
        return false
    }
}
