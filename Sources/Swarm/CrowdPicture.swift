public import Multiformats

/// What a coordinator knows of a crowd.
public struct CrowdPicture: Hashable, Sendable {
    /// A member or an outside provider.
    public struct Member: Hashable, Sendable {
        /// The identity.
        public var id: PeerID
        /// The bytes that others can read from it.
        public var position: Int64
        /// Bytes per second between its last two reports.
        public var rate: Double
        /// Where it gets the content from.
        public var supply: SwarmMessage.Supply
        /// The source that it reads from.
        public var source: PeerID?
        /// Whether it was found by a lookup and is no member.
        public var isOutside: Bool
    }

    /// The size of the content; 0 if it is unknown.
    public var size: Int64
    /// The members and providers, in no order.
    public var members: [Member]
}

extension Crowd {
    /// A picture of the crowd.
    var picture: CrowdPicture {
        CrowdPicture(
            size: size,
            members: nodes.compactMap { node in
                guard let node else { return nil }
                return CrowdPicture.Member(
                    id: node.id,
                    position: node.phase == .complete ? size : node.position,
                    rate: node.rate,
                    supply: node.phase.supply,
                    source: node.source.flatMap { nodes[$0]?.id } ?? node.foreignSource,
                    isOutside: node.isOutside
                )
            }
        )
    }

    /// What does not hold; `nil` if everything does. Takes linear time, and more for deep trees.
    func problem() -> String? {
        if index.count != nodes.count(where: { $0 != nil }) { return "each slot has one id" }
        if incomplete != nodes.count(where: { $0.map { $0.phase != .complete } ?? false }) {
            return "incomplete members are counted"
        }
        for slot in nodes.indices {
            guard let node = nodes[slot] else { continue }
            if index[node.id] != slot { return "the index names the slot" }
            for child in node.children where nodes[child]?.source != slot { return "a reader names its source" }
            if Set(node.children).count != node.children.count { return "a reader has one place" }
            guard let source = node.source else { continue }
            if node.phase != .reading { return "only readers have a source" }
            if nodes[source]?.children.contains(slot) != true { return "a source names its reader" }
            var at = source
            var steps = 0
            while let above = nodes[at]?.source {
                if at == slot { return "no node reads through itself" }
                at = above
                steps += 1
                if steps > nodes.count { return "sources form no circle" }
            }
        }
        return nil
    }
}

extension Crowd.Phase {
    fileprivate var supply: SwarmMessage.Supply {
        switch self {
        case .waiting: .none
        case .reading: .source
        case .leading: .upstream
        case .complete: .complete
        }
    }
}
