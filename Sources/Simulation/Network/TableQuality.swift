internal import Kademlia
internal import Multiformats

/// How good the routing tables of a network are, compared with what somebody who sees all nodes would put into them.
public struct TableQuality: Sendable {
    /// Of the K nodes closest to a node, the share that its table has; the mean over the nodes looked at.
    public var closestKnown = 0.0
    /// Of the places of a table's buckets that could be taken by nodes that are up, the share that is.
    public var bucketFill = 0.0
    /// Of the entries of a table, the share of nodes that are gone.
    public var dead = 0.0
}

extension SimulatedNetwork {
    /// Looks at the tables of so many nodes, evenly spread over those that are up.
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
