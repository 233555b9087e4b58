import Multiformats
import Synchronization
import Testing

@testable import Kademlia

@Suite struct RequestHandlingTests {
    private func node(knowing count: Int) throws -> KademliaNode {
        let node = try MemoryNetwork().makeNode(0)
        for number in stride(from: 1, through: count, by: 1) { node.noteAnswer(of: try testPeer(number)) }
        return node
    }

    @Test func findNodeGivesTheTargetFirstAndNeverTheAsker() throws {
        let node = try node(knowing: 60)
        let (asker, target) = (node.routingTablePeers[0], node.routingTablePeers[1])
        let reply = try #require(node.handle(Message(kind: .findNode, key: target.id.bytes), from: asker.id))
        #expect(reply.kind == .findNode)
        #expect(reply.closerPeers.count == 20)
        #expect(reply.closerPeers.first?.info == target)
        let own = try #require(node.handle(Message(kind: .findNode, key: asker.id.bytes), from: asker.id))
        #expect(own.closerPeers.count == 20)
        #expect(!own.closerPeers.contains { $0.info.id == asker.id || $0.info.id == node.localPeer })
    }

    @Test func findNodeForTheNodeItselfNamesIt() throws {
        let node = try node(knowing: 0)
        let reply = node.handle(Message(kind: .findNode, key: node.localPeer.bytes), from: try testPeer(5).id)
        #expect(reply?.closerPeers.map(\.info) == [try testPeer(0)])
    }

    @Test func aPeerSpeaksForItselfAloneAndWithAnAddress() throws {
        let (added, node) = try recordingNode()
        let (peer, other) = (try testPeer(1), try testPeer(2))
        let key = Key("a")
        func add(_ provider: PeerInfo, key: [UInt8]) {
            let message = Message(kind: .addProvider, key: key, providerPeers: [Message.Peer(provider)])
            #expect(node.handle(message, from: peer.id) == nil)
        }
        add(other, key: key.bytes)
        add(PeerInfo(id: peer.id, addresses: []), key: key.bytes)
        add(peer, key: [])
        add(peer, key: [UInt8](repeating: 1, count: 81))
        #expect(node.recordCount == 0)
        add(peer, key: [UInt8](repeating: 1, count: 80))
        add(peer, key: key.bytes)
        add(peer, key: key.bytes)
        #expect(node.recordCount == 2)
        #expect(
            added.positions.withLock { $0 } == [
                KeySpacePosition(hashing: [UInt8](repeating: 1, count: 80)), key.position,
            ]
        )
        let reply = node.handle(Message(kind: .getProviders, key: key.bytes), from: other.id)
        #expect(reply?.providerPeers.map(\.info) == [peer])
        node.removeProvider(peer.id, for: key)
        #expect(node.recordCount == 1)
    }

    private final class Log: Sendable {
        let positions = Mutex<[KeySpacePosition]>([])
    }

    private func recordingNode() throws -> (Log, KademliaNode) {
        let log = Log()
        let node = try MemoryNetwork().makeNode(
            0,
            onRecordAdded: { position, _ in log.positions.withLock { $0.append(position) } }
        )
        return (log, node)
    }

    @Test func getProvidersNamesTheNodeForItsOwnKeys() throws {
        let node = try node(knowing: 30)
        node.provide([Key("a")])
        let reply = try #require(
            node.handle(Message(kind: .getProviders, key: Key("a").bytes), from: try testPeer(99).id)
        )
        #expect(reply.providerPeers.map(\.info) == [try testPeer(0)])
        #expect(reply.closerPeers.map(\.info) == trulyClosest(20, of: node.routingTablePeers, to: Key("a").position))
        #expect(node.handle(Message(kind: .getProviders, key: []), from: try testPeer(99).id) == nil)
    }

    @Test func pingIsEchoedAndTheRestHasNoAnswer() throws {
        let node = try node(knowing: 1)
        let ping = Message(kind: .ping, key: [1, 2])
        #expect(node.handle(ping, from: try testPeer(1).id) == ping)
        for kind in [Message.Kind.putValue, .getValue, Message.Kind(rawValue: 77), Message.Kind(rawValue: -1)] {
            #expect(node.handle(Message(kind: kind, key: [1]), from: try testPeer(1).id) == nil)
        }
    }
}
