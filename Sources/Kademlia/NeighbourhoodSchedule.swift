import Time

/// The schedule of lookups of the node's own neighbourhood, and whether a bucket refresh is in flight.
///
/// After a change the lookup is repeated after 1 s, 2 s, 4 s and so on, because the first peers may have been joining
/// themselves, with few peers in their tables.
struct NeighbourhoodSchedule: Sendable {
    private static let firstInterval = Duration.seconds(1)

    let longestInterval: Duration
    private(set) var due: MonotonicTime
    private var interval = Self.firstInterval
    private var isWanted = false
    /// Whether the lookup is in flight. A further request waits for its end.
    private(set) var isInFlight = false
    /// Whether a bucket refresh is in flight: one at a time.
    var isRefreshing = false

    init(longestInterval: Duration, now: MonotonicTime) {
        self.longestInterval = longestInterval
        due = now + Self.firstInterval
    }

    /// Requests a lookup at once.
    mutating func want(now: MonotonicTime) {
        isWanted = true
        if !isInFlight { due = now }
    }

    /// Whether the lookup must start now. If so, it counts as started.
    mutating func start(now: MonotonicTime) -> Bool {
        guard !isInFlight, due <= now else { return false }
        interval = isWanted ? Self.firstInterval : min(interval * 2, longestInterval)
        isWanted = false
        isInFlight = true
        due = now + interval
        return true
    }

    mutating func ended(now: MonotonicTime) {
        isInFlight = false
        if isWanted { due = now }
    }
}
