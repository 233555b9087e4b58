public import Multiformats
import Time

/// What the table tells.
extension RoutingTable {
    /// Whether the peer is in the table (waiting is not).
    public func contains(_ id: PeerID) -> Bool { find(id) != nil }

    /// The peer as the table knows it.
    public func info(of id: PeerID) -> PeerInfo? {
        find(id).map { buckets[$0.bucket].entries[$0.place].info }
    }

    /// All peers of the table, in no particular order.
    public var peers: [PeerInfo] {
        buckets.flatMap { bucket in bucket.entries.lazy.map(\.info) }
    }

    /// What the table knows of each of its peers, bucket by bucket.
    public var snapshot: [PeerSnapshot] {
        buckets.enumerated().flatMap { index, bucket in
            bucket.entries.map { PeerSnapshot(info: $0.info, bucket: index, lastSeen: $0.lastSeen) }
        }
    }

    /// A peer of the table.
    public struct PeerSnapshot: Hashable, Sendable {
        /// Who it is, and where.
        public var info: PeerInfo
        /// The leading bits that its position shares with the node's own.
        public var bucket: Int
        /// When it last answered or asked.
        public var lastSeen: MonotonicTime
    }

    /// How many leading bits the node's position shares with that of the K-th closest peer; zero if there are fewer.
    /// So many bits has the region in which the node knows everybody, about.
    var neighbourhoodPrefix: Int {
        var found = 0
        for index in buckets.indices.reversed() {
            found += buckets[index].entries.count
            if found >= configuration.bucketSize { return index }
        }
        return 0
    }

    /// The `limit` peers of the table that are closest to a position, the closest first.
    public func closest(_ limit: Int, to target: KeySpacePosition) -> [PeerInfo] {
        guard limit > 0, !buckets.isEmpty else { return [] }
        // Let c be the prefix that the target shares with this node. Closest are the peers of bucket c, which share
        // more than c bits with the target; then those of all longer buckets, which share exactly c; then bucket
        // c - 1, and so on down.
        let shared = localPosition.commonPrefixLength(with: target)
        var result: [PeerInfo] = []
        // Places are sorted, not peers, most of which are not among the closest.
        func append(_ range: Range<Int>) {
            var places: [(distance: KeySpaceDistance, bucket: Int, index: Int)] = []
            for bucket in range {
                for index in buckets[bucket].entries.indices {
                    places.append((buckets[bucket].entries[index].position.distance(to: target), bucket, index))
                }
            }
            places.sort { $0.distance < $1.distance }
            for place in places.prefix(limit - result.count) {
                result.append(buckets[place.bucket].entries[place.index].info)
            }
        }
        if shared < buckets.count {
            append(shared..<shared + 1)
            if result.count < limit { append(shared + 1..<buckets.count) }
        }
        var index = min(shared, buckets.count)
        while index > 0, result.count < limit {
            index -= 1
            append(index..<index + 1)
        }
        return result
    }
}
