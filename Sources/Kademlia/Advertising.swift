internal import Multiformats
import Time

/// Which own keys wait for their holders to be told, and how far the sweep over the others has come.
///
/// Keys are advertised by region of the key space: one or two lookups find all peers of a region that has K or more, and
/// with that the K peers closest to each of its keys. A new key waits in ``announce`` for the lookup of its region. The
/// sweep goes over the whole key space once an interval and puts each key in there when its place has come, a 64th of the
/// space at a time; so nothing needs to be kept for a key but the key, and the load is spread over the interval. A key
/// that no longer is provided waits in ``withdraw`` in the same way.
struct Advertising: Sendable {
    /// The part of the key space that the sweep takes at a time, as bits of prefix.
    private static let stepPrefix = 6
    private static let stepSize = UInt64(1) << (64 - stepPrefix)

    /// A lookup under way for a region.
    struct Job: Sendable {
        let kind: RecordUpdate.Kind
        let anchor: Key
        /// The region that is expected to be covered: no other job starts in it.
        let claim: KeyRegion
        /// What the first lookup found, when the second is under way; and the region that both are to cover.
        var first: (found: [PeerInfo], region: KeyRegion)?
    }

    /// What is known of a region: all its peers, or if it has fewer than K the K closest to each of its keys.
    struct View: Sendable {
        let region: KeyRegion
        let peers: [PeerInfo]
        let expiry: MonotonicTime
    }

    /// Own keys whose holders wait to be told.
    var announce = KeySet()
    /// Former own keys whose holders wait to be told.
    var withdraw = KeySet()
    /// New keys, which go before others.
    var urgent: [Key] = []
    var jobs: [KademliaMachine.LookupID: Job] = [:]
    /// The regions looked at last; few, as each serves a sweep step or a burst of new keys.
    private(set) var views: [View] = []
    /// New keys are gathered until then.
    var flush: MonotonicTime?
    /// After a lookup that found nobody, the next comes then.
    var notBefore: MonotonicTime?
    /// Set while keys were advertised to all the few peers known, which need not be those closest in a larger network.
    var hasAdvertisedToAll = false
    /// Peers that were told that this node leaves.
    var told: Set<PeerID> = []

    private let interval: Duration
    private var lastOutgrown: MonotonicTime?
    /// Where the sweep stands, as the highest 64 bits of a position, and when it came there.
    private var cursor: UInt64
    private var cursorTime: MonotonicTime

    init(interval: Duration, phase: UInt64, now: MonotonicTime) {
        self.interval = max(interval, .milliseconds(64))
        // Not all nodes are at the same place at the same time. The steps are those of the prefixes.
        cursor = phase & ~(Self.stepSize - 1)
        cursorTime = now
    }

    // MARK: - Time

    /// When there is something to do without any input.
    func nextDeadline(own: KeySet) -> MonotonicTime? {
        let others = [sweepDue(own), announce.isEmpty && withdraw.isEmpty ? nil : notBefore, flush]
        return others.compactMap { $0 }.min()
    }

    /// How long the sweep takes over a part of the key space, a whole being 2^64.
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

    /// Takes up the keys whose time has come.
    mutating func sweep(_ own: KeySet, now: MonotonicTime) {
        guard !own.isEmpty else { return }
        // After a pause longer than an interval each key is due once.
        if now - cursorTime > interval { cursorTime = now + (.zero - interval) }
        while let due = sweepDue(own), due <= now, let (index, key) = nextKey(own) {
            let end = own.range(of: KeyRegion(around: key.position, prefixLength: Self.stepPrefix)).upperBound
            announce.insert(own.keys[index..<max(index, end)])
            let next = (key.position.words.first | (Self.stepSize - 1)) &+ 1
            // All keys are in the part that was taken last: the sweep has come around once.
            cursorTime = cursorTime + (next == cursor ? interval : time(over: next &- cursor))
            cursor = next
        }
    }

    /// Begins the sweep anew, as with the first keys: what is advertised now is due again after an interval at most.
    mutating func restartSweep(now: MonotonicTime) { cursorTime = now }

    /// Whether the network has turned out to be larger than K after all; once an interval, so that a network about as
    /// large as K does not advertise everything at each coming and going.
    mutating func outgrew(now: MonotonicTime) -> Bool {
        guard hasAdvertisedToAll else { return false }
        if let lastOutgrown, now - lastOutgrown < interval { return false }
        hasAdvertisedToAll = false
        lastOutgrown = now
        return true
    }

    // MARK: - Regions

    /// The next key to look up a region for: not in a region that is being looked up.
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
        // The widest, so that the same jobs always give the same answer.
        jobs.values.lazy.filter { $0.kind == kind && $0.claim.contains(position) }.map(\.claim)
            .min { $0.prefixLength < $1.prefixLength }
    }

    func jobCount(_ kind: RecordUpdate.Kind) -> Int { jobs.values.count { $0.kind == kind } }

    func view(of position: KeySpacePosition, now: MonotonicTime) -> View? {
        views.last { $0.expiry > now && $0.region.contains(position) }
    }

    /// Notes what a region was found to be.
    mutating func remember(_ region: KeyRegion, peers: [PeerInfo], now: MonotonicTime) {
        views.removeAll { $0.expiry <= now || $0.region == region }
        if views.count >= 4 { views.removeFirst() }
        views.append(View(region: region, peers: peers, expiry: now + interval / 8))
    }

    /// Takes keys of a region that wait, at most `limit` of them.
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

    /// Whether keys of a region wait other than one.
    func hasOthers(_ kind: RecordUpdate.Kind, in region: KeyRegion, than key: Key) -> Bool {
        let keys = kind == .announce ? announce : withdraw
        let count = keys.range(of: region).count
        return count > (keys.contains(key) ? 1 : 0)
    }
}
