internal import Multiformats
import Time

/// The own keys whose holders are to be updated, and the progress of the reprovide sweep.
///
/// Keys are advertised by region of the key space. One or two lookups find all peers of a region with at least K of
/// them, and so the K peers closest to each of its keys. A new key waits in ``announce`` for the lookup of its region.
/// The sweep goes through the key space once per interval, a 64th at a time, and puts each key there when it is due. So
/// a key needs no state of its own, and the load is spread over the interval. A key that is no longer provided waits in
/// ``withdraw`` in the same way.
struct Advertising: Sendable {
    /// The part of the key space that one step of the sweep takes, as prefix bits.
    private static let stepPrefix = 6
    private static let stepSize = UInt64(1) << (64 - stepPrefix)

    /// A lookup in flight for a region.
    struct Job: Sendable {
        let kind: RecordUpdate.Kind
        let anchor: Key
        /// The region that the job is expected to cover. No other job starts in it.
        let claim: KeyRegion
        /// The result of the first lookup while the second is in flight, and the region that both must cover.
        var first: (found: [PeerInfo], region: KeyRegion)?
    }

    /// The known peers of a region: all of them, or with fewer than K the K closest to each of its keys.
    struct View: Sendable {
        let region: KeyRegion
        let peers: [PeerInfo]
        let expiry: MonotonicTime
    }

    /// Own keys to announce to their holders.
    var announce = KeySet()
    /// Former own keys to withdraw from their holders.
    var withdraw = KeySet()
    /// New keys, which come before others.
    var urgent: [Key] = []
    var jobs: [KademliaMachine.LookupID: Job] = [:]
    /// The regions of the last lookups. Few, as each serves a step of the sweep or a burst of new keys.
    private(set) var views: [View] = []
    /// When the gathered new keys are advertised.
    var flush: MonotonicTime?
    /// The time before which no lookup starts, after one that found no peer.
    var notBefore: MonotonicTime?
    /// Whether keys were advertised to all of a few known peers, which need not be the closest in a larger network.
    var hasAdvertisedToAll = false
    /// Peers that have got this node's departure.
    var notified: Set<PeerID> = []

    private let interval: Duration
    private var lastOutgrown: MonotonicTime?
    /// The position of the sweep, as the highest 64 bits, and the time when it got there.
    private var cursor: UInt64
    private var cursorTime: MonotonicTime

    init(interval: Duration, phase: UInt64, now: MonotonicTime) {
        self.interval = max(interval, .milliseconds(64))
        // Spreads the nodes over the interval. Steps are aligned to prefixes.
        cursor = phase & ~(Self.stepSize - 1)
        cursorTime = now
    }

    // MARK: - Time

    /// The time when work is due without further input.
    func nextDeadline(own: KeySet) -> MonotonicTime? {
        let others = [sweepDue(own), announce.isEmpty && withdraw.isEmpty ? nil : notBefore, flush]
        return others.compactMap { $0 }.min()
    }

    /// The duration of the sweep over a part of the key space of 2^64.
    private func time(over distance: UInt64) -> Duration {
        let nanoseconds = UInt64(max(interval.clampedNanoseconds, 0))
        return .nanoseconds(Int64(clamping: nanoseconds.multipliedFullWidth(by: distance).high))
    }

    private func nextKey(_ own: KeySet) -> (index: Int, key: Key)? {
        let index = own.firstIndex(notBefore: KeySpacePosition(words: KeySpaceWords(cursor, 0, 0, 0)))
        if index < own.count { return (index, own.keys[index]) }
        return own.keys.first.map { (0, $0) }
    }

    private func sweepDue(_ own: KeySet) -> MonotonicTime? {
        guard let (_, key) = nextKey(own) else { return nil }
        return cursorTime + time(over: key.position.words.first &- cursor)
    }

    /// Moves the due keys to ``announce``.
    mutating func sweep(_ own: KeySet, now: MonotonicTime) {
        guard !own.isEmpty else { return }
        // After a pause longer than an interval each key is due once.
        if now - cursorTime > interval { cursorTime = now + (.zero - interval) }
        while let due = sweepDue(own), due <= now, let (index, key) = nextKey(own) {
            let end = own.range(of: KeyRegion(around: key.position, prefixLength: Self.stepPrefix)).upperBound
            announce.insert(own.keys[index..<max(index, end)])
            let next = (key.position.words.first | (Self.stepSize - 1)) &+ 1
            // All keys are in the part that was taken last, so the sweep has completed a round.
            cursorTime = cursorTime + (next == cursor ? interval : time(over: next &- cursor))
            cursor = next
        }
    }

    /// Restarts the sweep, as with the first keys: a key that is advertised now is due again within an interval.
    mutating func restartSweep(now: MonotonicTime) { cursorTime = now }

    /// Whether the network has turned out to be larger than K. Returns `true` at most once per interval, so that a
    /// network of about K nodes does not advertise everything at each change.
    mutating func outgrew(now: MonotonicTime) -> Bool {
        guard hasAdvertisedToAll else { return false }
        if let lastOutgrown, now - lastOutgrown < interval { return false }
        hasAdvertisedToAll = false
        lastOutgrown = now
        return true
    }

    // MARK: - Regions

    /// The next key whose region needs a lookup: in no region with a job.
    mutating func nextAnchor(_ kind: RecordUpdate.Kind) -> Key? {
        if kind == .announce {
            while let key = urgent.popLast() {
                if announce.contains(key), claim(of: key.position, kind) == nil { return key }
            }
        }
        let keys = kind == .announce ? announce : withdraw
        var index = 0
        while index < keys.count {
            let key = keys.keys[index]
            guard let claim = claim(of: key.position, kind) else { return key }
            index = max(index + 1, keys.range(of: claim).upperBound)
        }
        return nil
    }

    private func claim(of position: KeySpacePosition, _ kind: RecordUpdate.Kind) -> KeyRegion? {
        // The widest, so that the result is deterministic.
        jobs.values.lazy.filter { $0.kind == kind && $0.claim.contains(position) }.map(\.claim)
            .min { $0.prefixLength < $1.prefixLength }
    }

    func jobCount(_ kind: RecordUpdate.Kind) -> Int { jobs.values.count { $0.kind == kind } }

    func view(of position: KeySpacePosition, now: MonotonicTime) -> View? {
        views.last { $0.expiry > now && $0.region.contains(position) }
    }

    /// Records the peers of a region.
    mutating func remember(_ region: KeyRegion, peers: [PeerInfo], now: MonotonicTime) {
        views.removeAll { $0.expiry <= now || $0.region == region }
        if views.count >= 4 { views.removeFirst() }
        views.append(View(region: region, peers: peers, expiry: now + interval / 8))
    }

    /// Takes at most `limit` waiting keys of a region.
    mutating func take(_ kind: RecordUpdate.Kind, of region: KeyRegion, limit: Int) -> [Key] {
        let range = (kind == .announce ? announce : withdraw).range(of: region)
        let taken = range.prefix(limit)
        guard !taken.isEmpty else { return [] }
        let places = taken.startIndex..<taken.endIndex
        if kind == .announce {
            defer { announce.removeSubrange(places) }
            return Array(announce.keys[places])
        }
        defer { withdraw.removeSubrange(places) }
        return Array(withdraw.keys[places])
    }

    /// Whether a region has waiting keys besides one.
    func hasOthers(_ kind: RecordUpdate.Kind, in region: KeyRegion, than key: Key) -> Bool {
        let keys = kind == .announce ? announce : withdraw
        let count = keys.range(of: region).count
        return count > (keys.contains(key) ? 1 : 0)
    }

    // MARK: - Invariants

    /// Checks the order of the keys, and the limits of what is remembered.
    ///
    /// - Returns: what does not hold; `nil` if all does. Takes linear time.
    func checkInvariants(own: KeySet) -> String? {
        for keys in [own, announce, withdraw] {
            if let violation = keys.checkInvariants() { return violation }
        }
        if !announce.isSubset(of: own) { return "advertising: a key is announced that is not provided" }
        if !withdraw.isDisjoint(with: own) { return "advertising: a key is withdrawn that is provided" }
        if views.count > 4 { return "advertising: too many views" }
        if jobs.values.contains(where: { !$0.claim.contains($0.anchor.position) || $0.first?.found.isEmpty == true }) {
            return "advertising: a job does not cover its anchor"
        }
        return nil
    }
}
