import Kademlia
import Multiformats
import Testing
import Time

@testable import Simulation

struct ModelTests {
    @Test func percentileIsNearestRank() {
        #expect(Distribution().percentile(0.5) == nil)
        let distribution = Distribution((1...100).reversed().map(Double.init))
        #expect(distribution.percentile(0.5) == 50)
        #expect(distribution.percentile(0.99) == 99)
        #expect(distribution.percentile(0) == 1)
        #expect(distribution.percentile(1) == 100)
        #expect(Distribution([7]).percentile(0.99) == 7)
        #expect(distribution.mean == 50.5)
    }

    @Test func latencyHasMedianAndSpreadOfModel() {
        var random = SimulationRandom(seed: 4)
        var model = NetworkModel()
        model.loss = 0
        let times = Distribution(
            (0..<20_000).compactMap { _ in model.transit(using: &random).map { $0 / .microseconds(1) } }
        )
        #expect(times.count == 20_000)
        #expect((240...260).contains(times.percentile(0.5) ?? 0))
        // The 99th percentile of a log-normal distribution is exp(2.326 sigma) times the median.
        #expect((740...860).contains(times.percentile(0.99) ?? 0))
    }

    @Test func lossDelaysMessagesAndDropsFew() {
        var random = SimulationRandom(seed: 4)
        var model = NetworkModel()
        model.loss = 0.5
        let times = (0..<10_000).map { _ in model.transit(using: &random) }
        let prompt = times.count { ($0 ?? .seconds(100)) < .milliseconds(100) }
        #expect((4800...5200).contains(prompt))
        // One in 2^6 is dropped.
        #expect((100...220).contains(times.count { $0 == nil }))
    }

    @Test func identityContainsItsNumber() {
        let identities = Identities(seed: 9)
        for number in [0, 1, 9999, Identities.firstInvented + 3] {
            #expect(Identities.number(of: identities.peer(number).id) == number)
        }
        #expect(identities.peer(1) == Identities(seed: 9).peer(1))
        #expect(identities.peer(1).id != Identities(seed: 10).peer(1).id)
        #expect(Identities.number(of: PeerID(publicKeyProtobuf: [1, 2, 3])) == nil)
    }

    @Test func estimatedSizesMatchTheWire() {
        let peers = (0..<20).map { Message.Peer(Identities(seed: 1).peer($0), connection: .connected) }
        let messages = [
            Message(kind: .findNode, key: peers[0].info.id.bytes),
            Message(kind: .findNode, closerPeers: peers),
            Message(
                kind: .getProviders,
                key: Key("x").bytes,
                closerPeers: peers,
                providerPeers: Array(peers.prefix(3))
            ),
        ]
        for message in messages {
            let size = Double(message.encoded().count)
            #expect((0.9 * size - 4...1.1 * size + 4).contains(Double(message.estimatedSize)))
        }
    }

    @Test func attackersNamePeersCloserThanAnyNode() {
        let identities = Identities(seed: 2)
        let adversary = Adversary(
            accomplices: (0..<300).map { identities.peer($0) },
            invented: (0..<16_000).map { identities.peer(Identities.firstInvented + $0) }
        )
        let key = Key("x")
        var attacker = SimulatedNode(
            info: identities.peer(0),
            position: KeySpacePosition(hashing: identities.peer(0).id.bytes),
            machine: KademliaMachine(
                localPeer: identities.peer(0).id,
                configuration: KademliaConfiguration(),
                seed: 1,
                now: .zero
            ),
            started: .zero
        )
        attacker.behaviour = .falsePeers
        let question = Message(kind: .getProviders, key: key.bytes)
        let honest = Message(kind: .getProviders, providerPeers: [Message.Peer(identities.peer(7))])
        let answer = adversary.answer(of: attacker, to: question, honest: honest)
        #expect(answer.providerPeers.isEmpty)
        #expect(answer.closerPeers.count == 20)
        let closestNode = (0..<1000).map {
            KeySpacePosition(hashing: identities.peer($0).id.bytes).distance(to: key.position)
        }.min()
        let first = answer.closerPeers.first.map {
            KeySpacePosition(hashing: $0.info.id.bytes).distance(to: key.position)
        }
        #expect(first.map { distance in closestNode.map { distance < $0 } ?? false } == true)

        attacker.behaviour = .falseProviders
        #expect(adversary.answer(of: attacker, to: question, honest: honest).providerPeers.count == 20)
    }
}
