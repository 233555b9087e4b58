public import Multiformats
import Time

/// The known peers, in one bucket for each length of the prefix shared with the node's own position (k-buckets).
///
/// A peer must have replied before it is inserted; the table checks only its limits. A new peer never replaces one that
/// keeps replying, which makes a flood of new ids useless. It waits as a replacement.
///
/// One exception keeps a single network from filling the table. The table has at most
/// ``Configuration/maximumPerAddressGroup`` peers of one /24 (IPv4) or /64 (IPv6) outside the private ranges. Those
/// above ``Configuration/maximumPerAddressGroupInBucket`` in a full bucket are replaced by peers of other networks.
public struct RoutingTable: Sendable {
    /// The size limits of the table, and the age limits of its content.
    public struct Configuration: Sendable {
        /// K: the maximum number of peers of a bucket.
        public var bucketSize = 20
        /// The maximum number of replacements of a bucket. The oldest is dropped first.
        public var replacementCacheSize = 10
        /// The interval between refreshes of a bucket.
        public var refreshInterval: Duration = .seconds(600)
        /// A peer that was not seen for this time may be replaced by a new one.
        public var staleAfter: Duration = .seconds(3600)
        /// The maximum number of peers of one /24 or /64 in the table. In a small cluster all peers may be of one.
        public var maximumPerAddressGroup = 60
        /// The number of peers of one /24 or /64 that are safe in a full bucket. More stay only while there is room.
        public var maximumPerAddressGroupInBucket = 10
        /// The number of failures in a row after which a peer is removed.
        public var maximumFailures = 1

        /// The defaults of libp2p.
        public init() {}
    }

    /// The result of inserting a peer.
    public enum Insertion: Hashable, Sendable {
        /// The peer was added.
        case added
        /// The peer replaced a stale one, or one of a network with too many.
        case replaced(PeerID)
        /// The peer was already in the table and has its new addresses.
        case updated
        /// The bucket is full; the peer is a replacement.
        case waiting
        /// The peer is this node itself.
        case refusedSelf
        /// The table has the maximum number of peers of its network.
        case refusedByAddress
    }

    struct Entry: Sendable {
        var info: PeerInfo
        let position: KeySpacePosition
        var lastSeen: MonotonicTime
        var failures = 0
        var group: AddressGroup?
    }

    struct Bucket: Sendable {
        /// In no particular order.
        var entries: [Entry] = []
        /// The oldest first.
        var replacements: [Entry] = []
        var lastRefresh: MonotonicTime
    }

    /// This node's id, which is never in the table.
    public let localPeer: PeerID
    /// This node's position.
    public let localPosition: KeySpacePosition
    /// The limits.
    public let configuration: Configuration
    /// The number of peers, without replacements.
    public private(set) var count = 0
    /// Bucket i has the peers that share exactly i leading bits. Deep empty buckets are omitted.
    private(set) var buckets: [Bucket] = []
    private let created: MonotonicTime
    /// The number of peers in the table by network.
    private var groupCounts: [AddressGroup: Int] = [:]

    /// Creates an empty table.
    public init(localPeer: PeerID, configuration: Configuration = Configuration(), now: MonotonicTime) {
        self.localPeer = localPeer
        self.configuration = configuration
        localPosition = KeySpacePosition(hashing: localPeer.bytes)
        created = now
    }

    // MARK: - Changing

    /// Inserts a peer that has just replied, or renews it.
    public mutating func insert(_ info: PeerInfo, now: MonotonicTime) -> Insertion {
        guard info.id != localPeer else { return .refusedSelf }
        let entry = Entry(
            info: info,
            position: KeySpacePosition(hashing: info.id.bytes),
            lastSeen: now,
            group: AddressGroup(of: info)
        )
        let index = makeBucket(for: entry.position)
        if let place = buckets[index].entries.firstIndex(where: { $0.info.id == info.id }) {
            renew(bucket: index, place: place, with: entry)
            return .updated
        }
        buckets[index].replacements.removeAll { $0.info.id == info.id }
        guard hasRoom(for: entry.group) else { return .refusedByAddress }
        if buckets[index].entries.count < configuration.bucketSize {
            buckets[index].entries.append(entry)
            count += 1
            countGroup(entry.group, by: 1)
            return .added
        }
        if let place = replaceablePlace(in: index, for: entry) {
            let replaced = buckets[index].entries[place]
            buckets[index].entries[place] = entry
            countGroup(replaced.group, by: -1)
            countGroup(entry.group, by: 1)
            return .replaced(replaced.info.id)
        }
        guard configuration.replacementCacheSize > 0 else { return .waiting }
        if buckets[index].replacements.count >= configuration.replacementCacheSize {
            buckets[index].replacements.removeFirst()
        }
        buckets[index].replacements.append(entry)
        return .waiting
    }

    private mutating func renew(bucket: Int, place: Int, with entry: Entry) {
        let old = buckets[bucket].entries[place]
        var renewed = entry
        // A peer without addresses keeps its known ones. A peer that claims to have moved into a network with the
        // maximum number of peers keeps its old address.
        if entry.info.addresses.isEmpty || (entry.group != old.group && !hasRoom(for: entry.group)) {
            renewed.info = old.info
            renewed.group = old.group
        }
        countGroup(old.group, by: -1)
        countGroup(renewed.group, by: 1)
        buckets[bucket].entries[place] = renewed
    }

    /// The index of a replaceable peer in a full bucket: a stale one, or else the least recently seen of a network with
    /// too many peers in the bucket.
    private func replaceablePlace(in bucket: Int, for entry: Entry) -> Int? {
        let entries = buckets[bucket].entries
        let oldest = entries.indices.min { entries[$0].lastSeen < entries[$1].lastSeen }
        if let oldest, entry.lastSeen - entries[oldest].lastSeen >= configuration.staleAfter { return oldest }
        var counts: [AddressGroup: Int] = [:]
        for group in entries.lazy.compactMap(\.group) { counts[group, default: 0] += 1 }
        guard let (group, size) = counts.max(by: { $0.value < $1.value }), group != entry.group,
            size > configuration.maximumPerAddressGroupInBucket
        else { return nil }
        return entries.indices.filter { entries[$0].group == group }
            .min { entries[$0].lastSeen < entries[$1].lastSeen }
    }

    private func hasRoom(for group: AddressGroup?) -> Bool {
        guard let group else { return true }
        return groupCounts[group, default: 0] < configuration.maximumPerAddressGroup
    }

    private mutating func countGroup(_ group: AddressGroup?, by change: Int) {
        guard let group else { return }
        let count = groupCounts[group, default: 0] + change
        groupCounts[group] = count > 0 ? count : nil
    }

    /// Records that a peer of the table has replied.
    public mutating func seen(_ id: PeerID, now: MonotonicTime) {
        guard let (bucket, place) = find(id) else { return }
        buckets[bucket].entries[place].lastSeen = now
        buckets[bucket].entries[place].failures = 0
    }

    /// Records a failure. Removes the peer after ``Configuration/maximumFailures`` in a row.
    ///
    /// - Returns: whether the peer was removed.
    public mutating func failed(_ id: PeerID) -> Bool {
        guard let (bucket, place) = find(id) else {
            removeReplacement(id)
            return false
        }
        buckets[bucket].entries[place].failures += 1
        guard buckets[bucket].entries[place].failures >= configuration.maximumFailures else { return false }
        return remove(id)
    }

    /// Removes a peer. The newest replacement takes its place.
    ///
    /// - Returns: whether it was in the table.
    @discardableResult
    public mutating func remove(_ id: PeerID) -> Bool {
        removeReplacement(id)
        guard let (bucket, place) = find(id) else { return false }
        countGroup(buckets[bucket].entries[place].group, by: -1)
        while let replacement = buckets[bucket].replacements.popLast() {
            guard hasRoom(for: replacement.group) else { continue }
            buckets[bucket].entries[place] = replacement
            countGroup(replacement.group, by: 1)
            return true
        }
        buckets[bucket].entries.remove(at: place)
        count -= 1
        return true
    }

    private mutating func removeReplacement(_ id: PeerID) {
        let index = bucketIndex(of: KeySpacePosition(hashing: id.bytes))
        guard buckets.indices.contains(index) else { return }
        buckets[index].replacements.removeAll { $0.info.id == id }
    }

    // MARK: - Refreshing

    /// The buckets that are due for a refresh: those without one within the refresh interval.
    public func bucketsDueForRefresh(now: MonotonicTime) -> [Int] {
        buckets.indices.filter { now - buckets[$0].lastRefresh >= configuration.refreshInterval }
    }

    /// Records a refresh of a bucket.
    public mutating func markRefreshed(bucket index: Int, now: MonotonicTime) {
        guard buckets.indices.contains(index) else { return }
        buckets[index].lastRefresh = now
    }

    /// The time when the first bucket is due for a refresh; `nil` without buckets.
    var nextRefresh: MonotonicTime? {
        buckets.lazy.map(\.lastRefresh).min().map { $0 + configuration.refreshInterval }
    }

    /// Records a lookup of a position, which refreshes its bucket.
    mutating func markLookedUp(_ target: KeySpacePosition, now: MonotonicTime) {
        markRefreshed(bucket: bucketIndex(of: target), now: now)
    }

    // MARK: - Places

    private func bucketIndex(of position: KeySpacePosition) -> Int {
        // Only the node itself shares all 256 bits, and it is never looked up here. The last bucket covers that case,
        // too.
        min(localPosition.commonPrefixLength(with: position), 255)
    }

    private mutating func makeBucket(for position: KeySpacePosition) -> Int {
        let index = bucketIndex(of: position)
        while buckets.count <= index { buckets.append(Bucket(lastRefresh: created)) }
        return index
    }

    func find(_ id: PeerID) -> (bucket: Int, place: Int)? {
        let index = bucketIndex(of: KeySpacePosition(hashing: id.bytes))
        guard buckets.indices.contains(index),
            let place = buckets[index].entries.firstIndex(where: { $0.info.id == id })
        else { return nil }
        return (index, place)
    }

    // MARK: - Invariants

    /// Checks that each peer is in its bucket once, and that the limits hold.
    ///
    /// - Returns: what does not hold; `nil` if all does. Takes linear time.
    public func checkInvariants() -> String? {
        var groups: [AddressGroup: Int] = [:]
        for (index, bucket) in buckets.enumerated() {
            let (entries, replacements) = (bucket.entries, bucket.replacements)
            if entries.count > configuration.bucketSize { return "routing table: bucket \(index) is too large" }
            if replacements.count > configuration.replacementCacheSize {
                return "routing table: bucket \(index) has too many replacements"
            }
            if !replacements.isEmpty, entries.count < configuration.bucketSize {
                return "routing table: replacements wait for bucket \(index), which has room"
            }
            let all = entries + replacements
            if Set(all.map(\.info.id)).count != all.count { return "routing table: bucket \(index) has a peer twice" }
            for entry in all {
                if entry.info.id == localPeer { return "routing table: this node is in bucket \(index)" }
                guard entry.position == KeySpacePosition(hashing: entry.info.id.bytes),
                    bucketIndex(of: entry.position) == index
                else { return "routing table: a peer of another bucket is in bucket \(index)" }
            }
            for entry in entries {
                if let group = entry.group { groups[group, default: 0] += 1 }
                if entry.failures >= configuration.maximumFailures {
                    return "routing table: a failed peer stays in bucket \(index)"
                }
            }
        }
        if groups != groupCounts { return "routing table: peers of networks are miscounted" }
        if groups.values.contains(where: { $0 > configuration.maximumPerAddressGroup }) {
            return "routing table: too many peers of one network"
        }
        return buckets.reduce(0) { $0 + $1.entries.count } == count ? nil : "routing table: peers are miscounted"
    }
}
