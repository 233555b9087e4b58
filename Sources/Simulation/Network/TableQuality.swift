internal import Kademlia
internal import Multiformats

/// The quality of a network's routing tables, compared with tables built from knowledge of all nodes.
public struct TableQuality: Sendable {
    /// The share of the K nodes closest to a node that its table has; the mean over the sample.
    public var closestKnown = 0.0
    /// The share of the usable slots of a table's buckets that is filled.
    public var bucketFill = 0.0
    /// The share of a table's entries whose node is gone.
    public var dead = 0.0
}

extension SimulatedNetwork {
    /// The quality of the tables of a sample, evenly spread over the nodes that are up.
    public func tableQuality(sample: Int = 200) -> TableQuality {
        let sorted = up.sorted()
        let step = max(1, sorted.count / max(1, sample))
        let looked = stride(from: 0, to: sorted.count, by: step).map { sorted[$0] }
        var (closest, fill, dead) = (Distribution(), Distribution(), Distribution())
        for node in looked {
            let known = Set(
                nodes[Int(node)].machine.table.peers.compactMap { Identities.number(of: $0.id).map { Int32($0) } }
            )
            let alive = known.filter { nodes.indices.contains(Int($0)) && nodes[Int($0)].isUp }
            if !known.isEmpty { dead.add(1 - Double(alive.count) / Double(known.count)) }

            let bucketSize = settings.kademlia.routingTable.bucketSize
            let nearest = trulyClosest(bucketSize, to: node)
            if !nearest.isEmpty {
                closest.add(Double(nearest.count { alive.contains($0) }) / Double(nearest.count))
            }

            var places: [Int: Int] = [:]
            for other in sorted where other != node { places[bucket(of: other, in: node), default: 0] += 1 }
            let possible = places.values.reduce(0) { $0 + min($1, bucketSize) }
            if possible > 0 { fill.add(Double(alive.count) / Double(possible)) }
        }
        return TableQuality(closestKnown: closest.mean ?? 1, bucketFill: fill.mean ?? 1, dead: dead.mean ?? 0)
    }

    private func bucket(of other: Int32, in node: Int32) -> Int {
        nodes[Int(node)].position.commonPrefixLength(with: nodes[Int(other)].position)
    }

    private func trulyClosest(_ count: Int, to node: Int32) -> [Int32] {
        let target = nodes[Int(node)].position
        return up.lazy.filter { $0 != node }
            .map { (distance: self.nodes[Int($0)].position.distance(to: target), node: $0) }
            .sorted { $0.distance < $1.distance }
            .prefix(count)
            .map(\.node)
    }
}
