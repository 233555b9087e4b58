internal import Kademlia
internal import Multiformats

/// The shared knowledge of a network's attackers.
struct Adversary {
    /// Peers sorted by position.
    private struct Ring {
        let peers: [(position: KeySpacePosition, info: PeerInfo)]

        init(_ peers: [PeerInfo]) {
            self.peers = peers.map { (KeySpacePosition(hashing: $0.id.bytes), $0) }.sorted { $0.position < $1.position }
        }

        /// Peers close to a position. Those that share a long prefix with it are adjacent.
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
    /// Ids without a node. They are many more than the nodes, so that they are closer to any key.
    private let invented: Ring

    init(accomplices: [PeerInfo], invented: [PeerInfo]) {
        self.accomplices = Ring(accomplices)
        self.invented = Ring(invented)
    }

    /// Half of them are accomplices, half are invented.
    private func falsePeers(near target: KeySpacePosition) -> [Message.Peer] {
        (invented.closest(10, to: target) + accomplices.closest(10, to: target)).map { Message.Peer($0) }
    }

    /// An attacker's reply in place of its machine's.
    func answer(of node: SimulatedNode, to message: Message, honest: Message) -> Message {
        var answer = honest
        let target = KeySpacePosition(hashing: message.key)
        switch (node.behaviour, message.kind) {
        case (.falseProviders, .getProviders): answer.providerPeers = falsePeers(near: target)
        case (.falsePeers, .getProviders):
            answer.providerPeers = []
            answer.closerPeers = falsePeers(near: target)
        case (.falsePeers, .findNode):
            // Peers use this request to check that a node serves the protocol, so the attacker replies correctly.
            guard message.key != node.info.id.bytes else { break }
            answer.closerPeers = falsePeers(near: target)
        default: break
        }
        return answer
    }
}
