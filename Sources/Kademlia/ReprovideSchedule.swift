/// The keys this node provides, and when each must be advertised (again).
///
/// A key is due at once when it is added. Taking due keys hands them to the driver, which must say of each what became of
/// it: ``advertised(_:now:)`` or ``postpone(_:until:)``; until then the key is not due again.
public struct ReprovideSchedule: Sendable {
    private struct Entry: Sendable {
        /// Nil while the driver has the key in hand.
        var due: MonotonicTime?
        /// Tells the entry's place in a queue from those it had before.
        var ticket: UInt64
    }

    private struct Place: Sendable {
        var key: Key
        var due: MonotonicTime
        var ticket: UInt64
    }

    /// How long after having been advertised a key is due again.
    public let interval: Duration
    private var entries: [Key: Entry] = [:]
    /// Keys that wait for an interval. As all wait equally long, the queue is in order of time; a key that was removed
    /// or moved leaves a stale place behind, which is skipped.
    private var waiting: [Place] = []
    private var firstWaiting = 0
    /// Keys that are new or postponed: few at a time, or all due at once.
    private var urgent: [Place] = []
    private var nextTicket: UInt64 = 0

    /// A schedule of no keys.
    public init(interval: Duration = .seconds(540)) {
        self.interval = interval
    }

    /// How many keys there are.
    public var count: Int { entries.count }

    /// All keys, in no particular order.
    public var keys: some Collection<Key> { entries.keys }

    /// Whether the key is among them.
    public func contains(_ key: Key) -> Bool { entries[key] != nil }

    /// Adds a key, due at once.
    ///
    /// - Returns: false if it was there, in which case nothing changes.
    @discardableResult
    public mutating func add(_ key: Key, now: MonotonicTime) -> Bool {
        guard entries[key] == nil else { return false }
        urgent.append(makePlace(key, due: now))
        return true
    }

    /// Removes a key.
    ///
    /// - Returns: whether it was there.
    @discardableResult
    public mutating func remove(_ key: Key) -> Bool {
        guard entries.removeValue(forKey: key) != nil else { return false }
        if entries.isEmpty {
            waiting = []
            firstWaiting = 0
            urgent = []
        }
        return true
    }

    /// Hands out keys that are due, at most `limit` of them, sorted by position, so that neighbours can share a lookup.
    public mutating func takeDue(now: MonotonicTime, limit: Int) -> [Key] {
        var due: [Key] = []
        var later: [Place] = []
        for place in urgent where isCurrent(place) {
            if place.due <= now, due.count < limit {
                take(place, into: &due)
            } else {
                later.append(place)
            }
        }
        urgent = later
        while due.count < limit, firstWaiting < waiting.count, waiting[firstWaiting].due <= now {
            let place = waiting[firstWaiting]
            firstWaiting += 1
            if isCurrent(place) { take(place, into: &due) }
        }
        dropServedPlaces()
        return due.sorted { $0.position < $1.position }
    }

    /// Whether a call of ``takeDue(now:limit:)`` might hand out a key.
    public func hasDue(now: MonotonicTime) -> Bool {
        urgent.contains { $0.due <= now && isCurrent($0) }
            || waiting[firstWaiting...].lazy.prefix { $0.due <= now }.contains { isCurrent($0) }
    }

    /// Notes that a key was advertised: it is due again after the interval. A key that was removed stays so.
    public mutating func advertised(_ key: Key, now: MonotonicTime) {
        guard entries[key] != nil else { return }
        // Time does not go back; if it did, the queue's order must still hold.
        let due = max(now + interval, waiting.last?.due ?? now)
        waiting.append(makePlace(key, due: due))
    }

    /// Notes that a key could not be advertised and is to be tried again at the given time.
    public mutating func postpone(_ key: Key, until time: MonotonicTime) {
        guard entries[key] != nil else { return }
        urgent.append(makePlace(key, due: time))
    }

    /// Makes every key due now that is not in hand, as when the peers to advertise to have become others.
    public mutating func makeAllDue(now: MonotonicTime) {
        waiting = []
        firstWaiting = 0
        urgent = entries.filter { $0.value.due != nil }.map { makePlace($0.key, due: now) }
    }

    /// The keys that have been advertised or are in hand: those that a call of ``takeDue(now:limit:)`` would not give.
    public func keysNotDue(now: MonotonicTime) -> [Key] {
        entries.lazy.filter { entry in entry.value.due.map { $0 > now } ?? true }.map(\.key)
    }

    private mutating func makePlace(_ key: Key, due: MonotonicTime) -> Place {
        nextTicket &+= 1
        entries[key] = Entry(due: due, ticket: nextTicket)
        return Place(key: key, due: due, ticket: nextTicket)
    }

    private func isCurrent(_ place: Place) -> Bool {
        guard let entry = entries[place.key] else { return false }
        return entry.due != nil && entry.ticket == place.ticket
    }

    private mutating func take(_ place: Place, into due: inout [Key]) {
        entries[place.key]?.due = nil
        due.append(place.key)
    }

    private mutating func dropServedPlaces() {
        guard firstWaiting > 1024, firstWaiting > waiting.count / 2 else { return }
        waiting.removeFirst(firstWaiting)
        firstWaiting = 0
    }
}
