import Time

/// When the node looks up its own neighbourhood, and whether a bucket is being refreshed.
///
/// After a change the neighbourhood is looked up again in 1 s, 2 s, 4 s and so on: those who were asked at first may have
/// been joining themselves, and known hardly anybody.
struct NeighbourhoodSchedule: Sendable {
    private static let firstInterval = Duration.seconds(1)

    let longestInterval: Duration
    private(set) var due: MonotonicTime
    private var interval = Self.firstInterval
    private var isWanted = false
    /// Whether the lookup is under way; another that is wanted comes after it.
    private(set) var isUnderWay = false
    /// Whether a lookup for a bucket is under way: one at a time.
    var isRefreshing = false

    init(longestInterval: Duration, now: MonotonicTime) {
        self.longestInterval = longestInterval
        due = now + Self.firstInterval
    }

    /// Asks for a lookup at once.
    mutating func want(now: MonotonicTime) {
        isWanted = true
        if !isUnderWay { due = now }
    }

    /// Whether the lookup is to start now; it counts as started then.
    mutating func start(now: MonotonicTime) -> Bool {
        guard !isUnderWay, due <= now else { return false }
        interval = isWanted ? Self.firstInterval : min(interval * 2, longestInterval)
        isWanted = false
        isUnderWay = true
        due = now + interval
        return true
    }

    mutating func ended(now: MonotonicTime) {
        isUnderWay = false
        if isWanted { due = now }
    }
}
