import Multiformats
import TestSupport
import Testing

@testable import Kademlia

@Suite struct MessageTests {
    @Test func decodesItsEncoding() throws {
        let message = Message(
            kind: .getProviders,
            key: Key("sha256:00").bytes,
            closerPeers: [Message.Peer(try testPeer(1), connection: .connected), Message.Peer(try testPeer(2))],
            providerPeers: [Message.Peer(PeerInfo(id: try testPeer(3).id, addresses: []), connection: .cannotConnect)]
        )
        #expect(try Message(decoding: message.encoded()) == message)
    }

    @Test func usesFieldNumbersOfSpecification() throws {
        let id = try testPeer(1).id
        let message = Message(
            kind: .findNode,
            key: [0xAB],
            closerPeers: [Message.Peer(PeerInfo(id: id, addresses: []), connection: .connected)]
        )
        let peer: [UInt8] = [0x0A, 34] + id.bytes + [0x18, 1]
        #expect(message.encoded() == [0x08, 4, 0x12, 1, 0xAB, 0x42, UInt8(peer.count)] + peer + [0x50, 1])
    }

    @Test func ignoresUnknownFields() throws {
        // Type 1000, key, an unknown field 99 (varint), and a record (field 3).
        let bytes: [UInt8] = [0x08, 0xE8, 0x07, 0x12, 1, 0xAB, 0x98, 0x06, 1, 0x1A, 2, 0xFF, 0xFF]
        let message = try Message(decoding: bytes)
        #expect(message == Message(kind: Message.Kind(rawValue: 1000), key: [0xAB]))
        #expect("\(message.kind)" == "kind 1000")
    }

    @Test func skipsMalformedPeersAndAddresses() throws {
        let good = try testPeer(1)
        let address = try #require(good.addresses.first).bytes
        let foreign = try Multiaddr("/ip4/10.0.0.9/tcp/1/p2p/\(testPeer(9).id)").bytes
        func field(_ tag: UInt8, _ bytes: [UInt8]) -> [UInt8] { [tag, UInt8(bytes.count)] + bytes }
        let peer = field(0x0A, good.id.bytes) + field(0x12, [0xFF, 0xFF]) + field(0x12, foreign) + field(0x12, address)
        let bytes = [0x08, 3] + field(0x42, [0xFF]) + field(0x42, field(0x0A, [1, 2, 3])) + field(0x42, peer)
        #expect(try Message(decoding: bytes).closerPeers.map(\.info) == [good])
    }

    @Test func limitsPeersAndAddresses() throws {
        let addresses = try (0..<40).map { try testAddress($0) }
        let peers = try (0..<400).map { Message.Peer(PeerInfo(id: try testPeer($0).id, addresses: addresses)) }
        let message = try Message(decoding: Message(kind: .findNode, closerPeers: peers).encoded())
        #expect(message.closerPeers.count == Message.Limits.peers)
        #expect(message.closerPeers.allSatisfy { $0.info.addresses.count == Message.Limits.addresses })
    }

    @Test func rejectsOtherBytes() {
        #expect(throws: MessageError.malformed) { try Message(decoding: [0xFF, 0xFF]) }
        #expect(throws: MessageError.missingKind) { try Message(decoding: []) }
        let size = Message.maximumSize + 1
        #expect(throws: MessageError.tooLarge(size: size)) {
            try Message(decoding: [UInt8](repeating: 0, count: size))
        }
    }

    @Test func neverTrapsOnMutatedMessages() throws {
        var generator = SeededGenerator()
        let peers = try (0..<5).map { Message.Peer(try testPeer($0)) }
        let valid = Message(kind: .getProviders, key: Key("x").bytes, closerPeers: peers, providerPeers: peers)
            .encoded()
        var read = 0
        for _ in 0..<20_000 {
            var bytes = valid
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                bytes[Int.random(in: bytes.indices, using: &generator)] = UInt8.random(
                    in: .min ... .max,
                    using: &generator
                )
            }
            bytes = Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &generator)))
            if let message = try? Message(decoding: bytes) {
                read += 1
                // A decoded message can be encoded and decoded again.
                #expect(try Message(decoding: message.encoded()) == message, "seed \(generator.seed)")
            }
        }
        #expect(read > 0, "seed \(generator.seed)")
    }
}
