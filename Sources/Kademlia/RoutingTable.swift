public import Multiformats
import Time

/// The peers a node knows, in one bucket for each length of prefix shared with its own position (k-buckets).
///
/// Whoever is inserted must have proven itself before: the table decides on room alone. A peer that has been answering
/// is never pushed out by a new one (which is what makes a flood of new ids useless); the new one waits as a replacement.
///
/// One exception keeps a single network from filling the table: peers of one /24 (IPv4) or /64 (IPv6) outside the private
/// ranges are ``Configuration/maximumPerAddressGroup`` at most, and those beyond
/// ``Configuration/maximumPerAddressGroupInBucket`` in a full bucket give way to peers of other networks.
public struct RoutingTable: Sendable {
    /// How large the table may become, and when its contents are old.
    public struct Configuration: Sendable {
        /// K: the peers a bucket holds.
        public var bucketSize = 20
        /// The peers that wait for a place in a bucket; the longest waiting gives way to another.
        public var replacementCacheSize = 10
        /// How often a bucket is to be looked up anew.
        public var refreshInterval: Duration = .seconds(600)
        /// A peer that was not heard of for so long gives way to a new one.
        public var staleAfter: Duration = .seconds(3600)
        /// The peers of one /24 or /64 in the whole table. In a small cluster of public addresses all may be of one.
        public var maximumPerAddressGroup = 60
        /// The peers of one /24 or /64 that are safe in a full bucket; more stay only while there is room.
        public var maximumPerAddressGroupInBucket = 10
        /// The failures in a row after which a peer is removed.
        public var maximumFailures = 1

        /// The defaults of libp2p.
        public init() {}
    }

    /// What became of a peer that was offered.
    public enum Insertion: Hashable, Sendable {
        /// It is in the table now.
        case added
        /// It is in the table now, in the place of a peer not heard of for long, or of one of a network that had many.
        case replaced(PeerID)
        /// It was in the table; its addresses are the new ones.
        case updated
        /// Its bucket is full; it waits for a place.
        case waiting
        /// It is the node itself.
        case refusedSelf
        /// The table holds as many peers of its network as it may.
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
        /// The longest waiting first.
        var replacements: [Entry] = []
        var lastRefresh: MonotonicTime
    }

    /// The node itself; never in the table.
    public let localPeer: PeerID
    /// Where the node itself lies.
    public let localPosition: KeySpacePosition
    /// The table's bounds.
    public let configuration: Configuration
    /// How many peers are in the table, without those that wait.
    public private(set) var count = 0
    /// Bucket i holds the peers that share exactly i leading bits; as many as there are peers for.
    private(set) var buckets: [Bucket] = []
    private let created: MonotonicTime
    /// How many peers of each network are in the table.
    private var groupCounts: [AddressGroup: Int] = [:]

    /// An empty table.
    public init(localPeer: PeerID, configuration: Configuration = Configuration(), now: MonotonicTime) {
        self.localPeer = localPeer
        self.configuration = configuration
        localPosition = KeySpacePosition(hashing: localPeer.bytes)
        created = now
    }

    // MARK: - Changing

    /// Puts in a peer that has just proven that it answers, or renews one.
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
        // A peer that is met again without addresses has not lost those it had; and one that says it has moved into a
        // network of which the table has enough stays where it was.
        if entry.info.addresses.isEmpty || (entry.group != old.group && !hasRoom(for: entry.group)) {
            renewed.info = old.info
            renewed.group = old.group
        }
        countGroup(old.group, by: -1)
        countGroup(renewed.group, by: 1)
        buckets[bucket].entries[place] = renewed
    }

    /// The place in a full bucket of a peer that gives way: one not heard of for long, else one of a network that has
    /// more peers there than are safe, the longest silent.
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

    /// Notes that a peer of the table has just answered.
    public mutating func seen(_ id: PeerID, now: MonotonicTime) {
        guard let (bucket, place) = find(id) else { return }
        buckets[bucket].entries[place].lastSeen = now
        buckets[bucket].entries[place].failures = 0
    }

    /// Notes that a peer did not answer; after ``Configuration/maximumFailures`` in a row it is removed.
    ///
    /// - Returns: whether it was removed now.
    public mutating func failed(_ id: PeerID) -> Bool {
        guard let (bucket, place) = find(id) else {
            removeReplacement(id)
            return false
        }
        buckets[bucket].entries[place].failures += 1
        guard buckets[bucket].entries[place].failures >= configuration.maximumFailures else { return false }
        return remove(id)
    }

    /// Takes a peer out; the peer that began to wait last takes its place.
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

    /// The buckets that are due to be looked up anew: those not marked within the refresh interval.
    public func bucketsDueForRefresh(now: MonotonicTime) -> [Int] {
        buckets.indices.filter { now - buckets[$0].lastRefresh >= configuration.refreshInterval }
    }

    /// Notes that a bucket is being looked up anew.
    public mutating func markRefreshed(bucket index: Int, now: MonotonicTime) {
        guard buckets.indices.contains(index) else { return }
        buckets[index].lastRefresh = now
    }

    /// When the first bucket is due to be looked up anew; nil while there is none.
    var nextRefresh: MonotonicTime? {
        buckets.lazy.map(\.lastRefresh).min().map { $0 + configuration.refreshInterval }
    }

    /// Notes that a lookup for a position is under way, which meets the peers of its bucket.
    mutating func markLookedUp(_ target: KeySpacePosition, now: MonotonicTime) {
        markRefreshed(bucket: bucketIndex(of: target), now: now)
    }

    // MARK: - Places

    private func bucketIndex(of position: KeySpacePosition) -> Int {
        // Only the node itself shares all 256 bits, and it is never asked for; the last bucket takes that case too.
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
}
