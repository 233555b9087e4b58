import Multiformats
import TestSupport
import Time

@testable import Kademlia

/// A network of routing tables that drives a lookup without tasks or time.
struct SimulatedNetwork {
    var peers: [PeerInfo]
    var tables: [PeerID: RoutingTable] = [:]
    var providers: [PeerID: [PeerInfo]] = [:]
    var silent: Set<PeerID> = []

    init(size: Int, using generator: inout SeededGenerator) throws {
        peers = try (1...size).map { try testPeer($0) }
        for peer in peers {
            var table = RoutingTable(localPeer: peer.id, now: .zero)
            for other in peers.shuffled(using: &generator) { _ = table.insert(other, now: .zero) }
            tables[peer.id] = table
        }
    }

    /// Runs a lookup with replies in random order. Silent peers fail.
    func run(_ lookup: inout Lookup, using generator: inout SeededGenerator) -> [PeerInfo] {
        var underWay: [PeerID] = []
        var found: [PeerInfo] = []
        while true {
            switch lookup.next(now: .zero) {
            case .finished: return found
            case .ask(let peers):
                underWay += peers.map(\.id)
                continue
            case .wait: break
            }
            guard let index = underWay.indices.randomElement(using: &generator) else { return found }
            let id = underWay.remove(at: index)
            guard !silent.contains(id), let table = tables[id] else {
                lookup.failure(of: id)
                continue
            }
            found += lookup.reply(
                from: id,
                closerPeers: table.closest(20, to: lookup.target),
                providers: providers[id] ?? []
            )
        }
    }
}
