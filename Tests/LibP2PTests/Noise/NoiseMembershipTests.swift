import Crypto
import Membership
import Multiformats
import Testing

@testable import LibP2P

/// The handshake with a cluster key.
@Suite struct NoiseMembershipTests {
    private let alice = KeyPair()
    private let bob = KeyPair()

    private static func key(_ byte: UInt8) throws -> ClusterKey {
        try #require(ClusterKey(secret: [UInt8](repeating: byte, count: 32)))
    }

    private static func keys(_ bytes: UInt8...) throws -> ClusterKeys {
        try #require(ClusterKeys(bytes.map { try key($0) }))
    }

    private func handshake(_ role: NoiseRole, _ keys: ClusterKeys?) -> NoiseHandshake {
        NoiseHandshake(
            role: role,
            keyPair: role == .initiator ? alice : bob,
            expectedPeer: nil,
            muxers: ["/yamux/1.0.0"],
            membership: keys
        )
    }

    private func reply(_ step: NoiseHandshake.Step) throws -> [UInt8] {
        switch step {
        case .reply(let message), .complete(let message?, _): message
        default: throw NoiseError.outOfTurn
        }
    }

    private func run(_ initiator: ClusterKeys?, _ responder: ClusterKeys?) throws -> (NoiseSession, NoiseSession) {
        var (left, right) = (handshake(.initiator, initiator), handshake(.responder, responder))
        let first = try #require(try left.start())
        let second = try reply(right.receive(first))
        guard case .complete(let third?, let own) = try left.receive(second),
            case .complete(nil, let other) = try right.receive(third)
        else { throw NoiseError.outOfTurn }
        return (own, other)
    }

    /// Made with the Python library noiseprotocol 0.3.1.
    @Test func agreesWithAnotherImplementation() throws {
        func pattern(_ role: NoiseRole, _ own: UInt8) throws -> NoisePattern {
            NoisePattern(
                role: role,
                staticKey: try .init(rawRepresentation: [UInt8](repeating: own, count: 32)),
                ephemeralKey: try .init(rawRepresentation: [UInt8](repeating: own + 1, count: 32)),
                preSharedKey: SymmetricKey(data: [UInt8](0..<32))
            )
        }
        var (left, right) = (try pattern(.initiator, 11), try pattern(.responder, 13))
        let first = try left.write(payload: [])
        #expect(
            first.hex
                == "97c3b10b4d6c133a78ea5dcc1cf6421d3f81ae37b1f628ce14ca6fce7730f33358f41e9be413a795ff544c40e7a6b710"
        )
        #expect(try right.read(first) == [])
        let second = try right.write(payload: Array("responder".utf8))
        #expect(
            second.hex
                == "5855784cb3c8c796d84ac93e8f4a53dab0bb31e80960042cfa87f03a4293b308060536e21ed399c0760eb6c3c8d9599e"
                + "423aac7ea1cf1df7fdfd33c2cd695bdfaaffce99e0d5a9552b87fb7a84e121bb13306fc78c67cb8ebea08e756f48c603"
                + "ce397e737c8c9e318e"
        )
        #expect(try left.read(second) == Array("responder".utf8))
        let third = try left.write(payload: Array("initiator".utf8))
        #expect(
            third.hex
                == "35e2dedd1cec4f1cc336991aec804cdca191cd6f0aab966d9e86ec41f2b68d29fd81b0bd0b495dd1c28f0f6756592fcb"
                + "1e10111bb69e42367f1ad5723a208b22ceb5ff16e4f87b4950"
        )
        #expect(try right.read(third) == Array("initiator".utf8))
        #expect(left.handshakeHash.hex == "a55d56e65dd5ef3c28e8fe18f7f5f2bba6f0dcd862a426aac761d013b2d9b68e")
        #expect(right.handshakeHash == left.handshakeHash)
        var keys = try (left.split(), right.split())
        let there = try keys.0.sending.encrypt(Array("first".utf8), authenticating: [UInt8]())
        #expect((Array(there.ciphertext) + Array(there.tag)).hex == "2e40c4e878f712f7f10fc206fc6fdbaf3d1f271798")
        let back = try keys.1.sending.encrypt(Array("second".utf8), authenticating: [UInt8]())
        #expect((Array(back.ciphertext) + Array(back.tag)).hex == "6a2dc3eb668ba632c2a6ac9917a7a2e449983b4dd7e3")
    }

    @Test func bothEndsLearnPeerAndKey() throws {
        let (own, other) = try run(Self.keys(1), Self.keys(1))
        #expect(own.remotePeer == bob.peerID && other.remotePeer == alice.peerID)
        #expect(own.earlyMuxer == "/yamux/1.0.0")
        let fingerprint = try Self.key(1).fingerprint
        #expect(own.membership == fingerprint && other.membership == fingerprint)
        let without = try run(nil, nil)
        #expect(without.0.membership == nil && without.1.membership == nil)
    }

    /// The three steps of a change: the new key is added, is used, and is the only one.
    @Test func twoKeysWorkDuringChange() throws {
        let steps = [try Self.keys(1), try Self.keys(1, 2), try Self.keys(2, 1), try Self.keys(2)]
        for (number, step) in steps.enumerated() {
            // Nodes are at most one step apart.
            for other in steps[max(0, number - 1)...min(3, number + 1)] {
                let (own, _) = try run(step, other)
                #expect(own.membership == step.current.fingerprint)
            }
        }
        #expect(throws: NoiseError.unprovenMembership) { try run(Self.keys(2), Self.keys(1)) }
    }

    @Test func keyOfAnotherClusterIsRefusedAtFirstMessage() throws {
        var stranger = handshake(.initiator, try Self.keys(9))
        var node = handshake(.responder, try Self.keys(1, 2))
        let first = try #require(try stranger.start())
        #expect(throws: NoiseError.unprovenMembership) { try node.receive(first) }
    }

    @Test func nodeWithoutKeyIsRefused() throws {
        #expect(throws: NoiseError.self) { try run(nil, Self.keys(1)) }
        #expect(throws: NoiseError.self) { try run(Self.keys(1), nil) }
    }

    /// A stranger in the middle can pass messages on, but learns and changes nothing: with an ephemeral key of its own
    /// neither side accepts what it sends.
    @Test func messagesOfOneHandshakeAreWorthlessInAnother() throws {
        let keys = try Self.keys(1)
        var left = handshake(.initiator, keys)
        var right = handshake(.responder, keys)
        let first = try #require(try left.start())
        let second = try reply(right.receive(first))

        // A replayed first message gets an answer that only its maker could read.
        var other = handshake(.responder, keys)
        let answer = try reply(other.receive(first))
        #expect(answer != second)
        // The third message of one handshake does not end another one.
        var copy = left
        let third = try reply(left.receive(second))
        #expect(throws: NoiseError.self) { try other.receive(third) }
        // The same side's messages sent back to it.
        #expect(throws: NoiseError.self) { try copy.receive(first) }
        // An answer to another dialer.
        var dialer = handshake(.initiator, keys)
        _ = try dialer.start()
        #expect(throws: NoiseError.self) { try dialer.receive(second) }
        _ = try right.receive(third)
    }

    /// What an outsider sees must not even have the peer's id.
    @Test func outsiderCannotReadAnswer() throws {
        let keys = try Self.keys(1)
        var node = handshake(.responder, keys)
        let staticKey = Curve25519.KeyAgreement.PrivateKey()
        let ephemeral = Curve25519.KeyAgreement.PrivateKey()
        var member = NoisePattern(
            role: .initiator,
            staticKey: staticKey,
            ephemeralKey: ephemeral,
            preSharedKey: keys.current.handshake
        )
        let answer = try reply(node.receive(member.write(payload: [])))
        // The outsider has the ephemeral key, but not the cluster's.
        var outsider = NoisePattern(
            role: .initiator,
            staticKey: staticKey,
            ephemeralKey: ephemeral,
            preSharedKey: try Self.key(2).handshake
        )
        _ = try outsider.write(payload: [])
        #expect(throws: NoiseError.authenticationFailed) { try outsider.read(answer) }
        #expect(try !member.read(answer).isEmpty)
    }

    @Test(arguments: 0..<3)
    func changedMessageEndsHandshake(number: Int) throws {
        var random = NoiseTestGenerator()
        for _ in 0..<20 {
            let keys = try Self.keys(1)
            var (left, right) = (handshake(.initiator, keys), handshake(.responder, keys))
            func changed(_ message: [UInt8], if condition: Bool) -> [UInt8] {
                guard condition else { return message }
                var message = message
                message[Int.random(in: message.indices, using: &random)] ^= UInt8.random(in: 1...127, using: &random)
                return message
            }
            #expect(throws: NoiseError.self, random.comment) {
                let first = try #require(try left.start())
                let second = try reply(right.receive(changed(first, if: number == 0)))
                let third = try reply(left.receive(changed(second, if: number == 1)))
                _ = try right.receive(changed(third, if: number == 2))
            }
        }
    }
}
