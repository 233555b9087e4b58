internal import Kademlia
internal import Multiformats

/// What the attackers of a network know together.
struct Adversary {
    /// Peers in order of position.
    private struct Ring {
        let peers: [(position: KeySpacePosition, info: PeerInfo)]

        init(_ peers: [PeerInfo]) {
            self.peers = peers.map { (KeySpacePosition(hashing: $0.id.bytes), $0) }.sorted { $0.position < $1.position }
        }

        /// Peers close to a position. Those that share a long prefix with it stand together around its place.
        func closest(_ count: Int, to target: KeySpacePosition) -> [PeerInfo] {
            var (low, high) = (0, peers.count)
            while low < high {
                let middle = (low + high) / 2
                if peers[middle].position < target { low = middle + 1 } else { high = middle }
            }
            return peers[max(0, low - 2 * count)..<min(peers.count, low + 2 * count)]
                .map { (distance: $0.position.distance(to: target), info: $0.info) }
                .sorted { $0.distance < $1.distance }
                .prefix(count)
                .map(\.info)
        }
    }

    private let accomplices: Ring
    /// Ids without a node, many more than there are nodes, so that they are closer to any key than those.
    private let invented: Ring

    init(accomplices: [PeerInfo], invented: [PeerInfo]) {
        self.accomplices = Ring(accomplices)
        self.invented = Ring(invented)
    }

    /// Half of them accomplices, half of them invented.
    private func falsePeers(near target: KeySpacePosition) -> [Message.Peer] {
        (invented.closest(10, to: target) + accomplices.closest(10, to: target)).map { Message.Peer($0) }
    }

    /// What an attacker answers instead of what its machine does.
    func answer(of node: SimulatedNode, to message: Message, honest: Message) -> Message {
        var answer = honest
        let target = KeySpacePosition(hashing: message.key)
        switch (node.behaviour, message.kind) {
        case (.falseProviders, .getProviders): answer.providerPeers = falsePeers(near: target)
        case (.falsePeers, .getProviders):
            answer.providerPeers = []
            answer.closerPeers = falsePeers(near: target)
        case (.falsePeers, .findNode):
            // Others check by such a question that a node serves the protocol, so that one is answered well.
            guard message.key != node.info.id.bytes else { break }
            answer.closerPeers = falsePeers(near: target)
        default: break
        }
        return answer
    }
}
