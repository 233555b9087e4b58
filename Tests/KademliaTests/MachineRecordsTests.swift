import Multiformats
import Testing
import Time

@testable import Kademlia

/// The server side of a machine.
@Suite struct MachineRecordsTests {
    private func added(_ machine: inout KademliaMachine) -> [KeySpacePosition] {
        var positions: [KeySpacePosition] = []
        while let action = machine.nextAction() {
            if case .recordAdded(let position, _) = action { positions.append(position) }
        }
        return positions
    }

    @Test func findNodeReturnsTargetFirstAndNeverRequester() throws {
        var machine = try testMachine(knowing: 60)
        let (asker, target) = (machine.table.peers[0], machine.table.peers[1])
        let findTarget = Message(kind: .findNode, key: target.id.bytes)
        let answer = machine.handle(findTarget, from: asker.id, now: .zero)
        let reply = try #require(answer)
        #expect(reply.kind == .findNode)
        #expect(reply.closerPeers.count == 20)
        #expect(reply.closerPeers.first?.info == target)
        let findAsker = Message(kind: .findNode, key: asker.id.bytes)
        let second = machine.handle(findAsker, from: asker.id, now: .zero)
        let own = try #require(second)
        #expect(own.closerPeers.count == 20)
        #expect(!own.closerPeers.contains { $0.info.id == asker.id || $0.info.id == machine.localPeer })
    }

    @Test func findNodeOfOwnIDReturnsSelf() throws {
        var machine = try testMachine()
        let message = Message(kind: .findNode, key: machine.localPeer.bytes)
        let reply = machine.handle(message, from: try testPeer(5).id, now: .zero)
        #expect(reply?.closerPeers.map(\.info) == [try testPeer(0)])
    }

    @Test func acceptsOnlyOwnRecordsWithAddress() throws {
        var machine = try testMachine()
        let (peer, other) = (try testPeer(1), try testPeer(2))
        let key = Key("a")
        func add(_ provider: PeerInfo, key: [UInt8]) {
            let message = Message(kind: .addProvider, key: key, providerPeers: [Message.Peer(provider)])
            #expect(machine.handle(message, from: peer.id, now: .zero) == nil)
        }
        add(other, key: key.bytes)
        add(PeerInfo(id: peer.id, addresses: []), key: key.bytes)
        add(peer, key: [])
        add(peer, key: [UInt8](repeating: 1, count: 81))
        #expect(machine.recordCount == 0)
        #expect(machine.statistics.offers.refusedAsForeign == 1)
        #expect(machine.statistics.offers.refusedAsInvalid == 3)
        add(peer, key: [UInt8](repeating: 1, count: 80))
        add(peer, key: key.bytes)
        add(peer, key: key.bytes)
        #expect(machine.recordCount == 2)
        #expect(machine.statistics.offers.renewed == 1)
        #expect(added(&machine) == [KeySpacePosition(hashing: [UInt8](repeating: 1, count: 80)), key.position])
        let ask = Message(kind: .getProviders, key: key.bytes)
        #expect(machine.handle(ask, from: other.id, now: .zero)?.providerPeers.map(\.info) == [peer])
    }

    @Test func acceptsUpdatesOnlyFromTheirProvider() throws {
        var machine = try testMachine()
        let (peer, other) = (try testPeer(1), try testPeer(2))
        let keys = (0..<10).map { Key("\($0)") }
        func update(_ kind: RecordUpdate.Kind, _ keys: [Key], of provider: PeerInfo, from sender: PeerInfo) {
            let update = RecordUpdate(kind: kind, keys: keys, provider: provider, timeToLive: .seconds(60))
            machine.handle(update, from: sender.id, now: .zero)
        }
        update(.announce, keys, of: other, from: peer)
        #expect(machine.recordCount == 0 && machine.statistics.offers.refusedAsForeign == 10)
        update(.announce, keys, of: PeerInfo(id: peer.id, addresses: []), from: peer)
        #expect(machine.recordCount == 0 && machine.statistics.offers.refusedAsInvalid == 10)
        update(.announce, keys, of: peer, from: peer)
        update(.announce, Array(keys.prefix(3)), of: other, from: other)
        #expect(machine.recordCount == 13 && machine.statistics.offers.added == 13)
        #expect(added(&machine).count == 13)
        // A peer can neither withdraw nor drop records of another.
        update(.withdraw, keys, of: peer, from: other)
        update(.leave, [], of: peer, from: other)
        #expect(machine.recordCount == 13)
        update(.withdraw, Array(keys.prefix(2)) + [Key("other")], of: peer, from: peer)
        #expect(machine.recordCount == 11 && machine.statistics.offers.withdrawn == 2)
        machine.met(peer, now: .zero)
        update(.leave, [], of: peer, from: peer)
        #expect(machine.recordCount == 3 && machine.table.count == 0)
        // The provider's own lifetime applies.
        machine.advance(to: .seconds(90))
        #expect(machine.recordCount == 0)
    }

    @Test func limitsRecordsOfOneMessage() throws {
        var machine = try testMachine { $0.providerStore.maximumPerProvider = 100 }
        let keys = (0..<5000).map { Key("\($0)") }
        let update = RecordUpdate(kind: .announce, keys: keys, provider: try testPeer(1), timeToLive: .seconds(60))
        machine.handle(update, from: try testPeer(1).id, now: .zero)
        #expect(machine.recordCount == 100)
        #expect(machine.statistics.offers.refusedByProviderLimit == RecordUpdate.maximumKeys - 100)
    }

    @Test func getProvidersReturnsSelfForOwnKeys() throws {
        var machine = try testMachine(knowing: 30)
        machine.provide([Key("a")], now: .zero)
        let ask = Message(kind: .getProviders, key: Key("a").bytes)
        let answer = machine.handle(ask, from: try testPeer(99).id, now: .zero)
        let reply = try #require(answer)
        #expect(reply.providerPeers.map(\.info) == [try testPeer(0)])
        #expect(reply.closerPeers.map(\.info) == trulyClosest(20, of: machine.table.peers, to: Key("a").position))
        #expect(machine.handle(Message(kind: .getProviders, key: []), from: try testPeer(99).id, now: .zero) == nil)
    }

    @Test func limitsProvidersOfOneReply() throws {
        var machine = try testMachine()
        for number in 1...200 {
            let peer = try testPeer(number)
            let message = Message(kind: .addProvider, key: Key("a").bytes, providerPeers: [Message.Peer(peer)])
            _ = machine.handle(message, from: peer.id, now: .zero)
        }
        let ask = Message(kind: .getProviders, key: Key("a").bytes)
        #expect(machine.handle(ask, from: try testPeer(999).id, now: .zero)?.providerPeers.count == 64)
    }

    @Test func recordsWithoutLifetimeOutliveReprovideOfOtherImplementations() throws {
        var machine = try testMachine()
        let plain = try testPeer(1)
        let update = RecordUpdate(
            kind: .announce,
            keys: [Key("a")],
            provider: try testPeer(2),
            timeToLive: .seconds(600)
        )
        machine.handle(update, from: try testPeer(2).id, now: .zero)
        let message = Message(kind: .addProvider, key: Key("a").bytes, providerPeers: [Message.Peer(plain)])
        _ = machine.handle(message, from: plain.id, now: .zero)
        let ask = Message(kind: .getProviders, key: Key("a").bytes)
        for (minutes, expected) in [(9, 2), (15, 1), (18, 1), (20, 0)] {
            let now = MonotonicTime.seconds(minutes * 60)
            machine.advance(to: now)
            let answer = machine.handle(ask, from: try testPeer(99).id, now: now)
            #expect(answer?.providerPeers.count == expected, "after \(minutes) min")
        }
    }

    @Test func echoesPingAndIgnoresUnsupportedMessages() throws {
        var machine = try testMachine(knowing: 1)
        let ping = Message(kind: .ping, key: [1, 2])
        #expect(machine.handle(ping, from: try testPeer(1).id, now: .zero) == ping)
        for kind in [Message.Kind.putValue, .getValue, Message.Kind(rawValue: 77), Message.Kind(rawValue: -1)] {
            #expect(machine.handle(Message(kind: kind, key: [1]), from: try testPeer(1).id, now: .zero) == nil)
        }
    }
}
