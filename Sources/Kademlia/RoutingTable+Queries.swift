public import Multiformats
import Time

/// Queries of the table.
extension RoutingTable {
    /// Whether the peer is in the table; replacements are not.
    public func contains(_ id: PeerID) -> Bool { find(id) != nil }

    /// The id and addresses of a peer in the table.
    public func info(of id: PeerID) -> PeerInfo? {
        find(id).map { buckets[$0.bucket].entries[$0.place].info }
    }

    /// All peers of the table, in no particular order.
    public var peers: [PeerInfo] {
        buckets.flatMap { bucket in bucket.entries.lazy.map(\.info) }
    }

    /// All peers with their state, bucket by bucket.
    public var snapshot: [PeerSnapshot] {
        buckets.enumerated().flatMap { index, bucket in
            bucket.entries.map { PeerSnapshot(info: $0.info, bucket: index, lastSeen: $0.lastSeen) }
        }
    }

    /// A peer of the table.
    public struct PeerSnapshot: Hashable, Sendable {
        /// The id and addresses.
        public var info: PeerInfo
        /// The number of leading bits that its position shares with the node's own.
        public var bucket: Int
        /// The time of its last reply or request.
        public var lastSeen: MonotonicTime
    }

    /// The number of leading bits that the node's position shares with that of the K-th closest peer; zero with fewer
    /// peers. This is about the prefix length of the region in which the node knows all peers.
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
        // Let c be the length of the prefix that the target shares with this node. The closest peers are those of
        // bucket c, which share more than c bits with the target; then those of all deeper buckets, which share exactly
        // c; then bucket c - 1, and so on.
        let shared = localPosition.commonPrefixLength(with: target)
        var result: [PeerInfo] = []
        // Sorts indices, not peers, because most peers are not among the closest.
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
