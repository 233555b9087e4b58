import Crypto
import Multiformats
import Testing

@testable import LibP2P

@Suite struct NoiseHandshakeTests {
    private let alice = KeyPair()
    private let bob = KeyPair()

    private func handshake(
        _ role: NoiseRole,
        expecting peer: PeerID? = nil,
        muxers: [String] = ["/yamux/1.0.0"]
    ) -> NoiseHandshake {
        NoiseHandshake(role: role, keyPair: role == .initiator ? alice : bob, expectedPeer: peer, muxers: muxers)
    }

    private func reply(_ step: NoiseHandshake.Step) -> [UInt8]? {
        switch step {
        case .reply(let message), .reject(let message, _): message
        case .complete(let message, _): message
        }
    }

    private func session(_ step: NoiseHandshake.Step) throws -> NoiseSession {
        guard case .complete(_, let session) = step else { throw NoiseError.outOfTurn }
        return session
    }

    /// Runs a handshake; `change` may modify each message (1 to 3).
    private func run(
        _ initiator: NoiseHandshake,
        _ responder: NoiseHandshake,
        change: (Int, inout [UInt8]) -> Void = { _, _ in }
    ) throws -> (initiator: NoiseHandshake.Step, responder: NoiseHandshake.Step) {
        var (initiator, responder) = (initiator, responder)
        let silence = try responder.start()
        #expect(silence == nil)
        let first = try initiator.start()
        var message = try #require(first)
        change(1, &message)
        let responderStep = try responder.receive(message)
        message = try #require(reply(responderStep))
        change(2, &message)
        let initiatorStep = try initiator.receive(message)
        message = try #require(reply(initiatorStep))
        change(3, &message)
        return (initiatorStep, try responder.receive(message))
    }

    @Test func bothEndsLearnPeerIDs() throws {
        let ends = try run(handshake(.initiator, expecting: bob.peerID), handshake(.responder, expecting: alice.peerID))
        var initiator = try session(ends.initiator)
        var responder = try session(ends.responder)
        #expect(initiator.remotePeer == bob.peerID)
        #expect(responder.remotePublicKey == alice.publicKey)
        #expect(initiator.handshakeHash == responder.handshakeHash)
        for index in 0..<3 {
            let text: [UInt8] = [1, 2, UInt8(index)]
            let there = try initiator.sending.encrypt(text, authenticating: [UInt8]())
            let arrived = try responder.receiving.decrypt(
                Array(there.ciphertext) + Array(there.tag),
                authenticating: [UInt8]()
            )
            #expect(Array(arrived) == text)
            let back = try responder.sending.encrypt(text, authenticating: [UInt8]())
            #expect(Array(back.ciphertext) != Array(there.ciphertext), "each direction has a key of its own")
            let returned = try initiator.receiving.decrypt(
                Array(back.ciphertext) + Array(back.tag),
                authenticating: [UInt8]()
            )
            #expect(Array(returned) == text)
        }
    }

    @Test(
        arguments: [
            (["/a", "/b"], ["/b", "/a"], "/a"), (["/b"], ["/a", "/b"], "/b"), (["/a"], ["/b"], nil), ([], ["/a"], nil),
            (["/a"], [], nil), ([], [], nil), (["/x", "/b", "/a"], ["/a", "/b"], "/b"),
        ] as [([String], [String], String?)]
    )
    func selectsInitiatorsFirstCommonMuxer(initiator: [String], responder: [String], expected: String?) throws {
        let ends = try run(handshake(.initiator, muxers: initiator), handshake(.responder, muxers: responder))
        #expect(try session(ends.initiator).earlyMuxer == expected)
        #expect(try session(ends.responder).earlyMuxer == expected)
        #expect(try session(ends.initiator).remoteMuxers == responder)
    }

    @Test func tooManyMuxersCountAsNone() throws {
        let many = (0...NoisePayload.maximumMuxerCount).map { "/\($0)" }
        let ends = try run(handshake(.initiator, muxers: ["/1"]), handshake(.responder, muxers: many))
        #expect(try session(ends.initiator).earlyMuxer == nil)
    }

    @Test func rejectsUnexpectedResponderAfterLastMessage() throws {
        let other = KeyPair().peerID
        let ends = try run(handshake(.initiator, expecting: other), handshake(.responder))
        guard case .reject(_, let error) = ends.initiator else {
            Issue.record("expected a rejection, got \(ends.initiator)")
            return
        }
        #expect(error == .unexpectedPeer(expected: other, actual: bob.peerID))
        #expect(try session(ends.responder).remotePeer == alice.peerID)
    }

    @Test func rejectsUnexpectedInitiator() throws {
        let other = KeyPair().peerID
        #expect(throws: NoiseError.unexpectedPeer(expected: other, actual: alice.peerID)) {
            try run(handshake(.initiator), handshake(.responder, expecting: other))
        }
    }

    @Test(arguments: [1, 2, 3])
    func rejectsEveryChangedByte(message: Int) throws {
        let (initiator, responder) = (handshake(.initiator), handshake(.responder))
        var length = 0
        _ = try run(initiator, responder) { number, bytes in if number == message { length = bytes.count } }
        #expect(length >= 32)
        for index in 0..<length {
            #expect(throws: NoiseError.self, "byte \(index)") {
                try run(initiator, responder) { number, bytes in
                    // Not the highest bit: Curve25519 ignores it (RFC 7748), though the hash covers it.
                    if number == message { bytes[index] ^= 0x01 }
                }
            }
        }
    }

    @Test(arguments: [1, 2, 3])
    func rejectsEveryTruncation(message: Int) throws {
        let (initiator, responder) = (handshake(.initiator), handshake(.responder))
        var length = 0
        _ = try run(initiator, responder) { number, bytes in if number == message { length = bytes.count } }
        for count in 0..<length {
            #expect(throws: NoiseError.self, "\(count) bytes") {
                try run(initiator, responder) { number, bytes in
                    if number == message { bytes.removeLast(bytes.count - count) }
                }
            }
        }
    }

    // Points of small order on Curve25519: 0, 1, p - 1, p, p + 1, with p = 2^255 - 19.
    @Test(arguments: [
        String(repeating: "00", count: 32), "01" + String(repeating: "00", count: 31),
        "ec" + String(repeating: "ff", count: 30) + "7f", "ed" + String(repeating: "ff", count: 30) + "7f",
        "ee" + String(repeating: "ff", count: 30) + "7f",
    ])
    func rejectsLowOrderKeys(key: String) {
        var responder = handshake(.responder)
        #expect(throws: NoiseError.invalidKey) { try responder.receive([UInt8](hex: key)) }
    }

    @Test func rejectsLongMessages() {
        var responder = handshake(.responder)
        #expect(throws: NoiseError.messageTooLong(limit: 8192, actual: 8193)) {
            try responder.receive([UInt8](repeating: 1, count: 8193))
        }
    }

    @Test func rejectsMessagesOutOfTurn() throws {
        var initiator = handshake(.initiator)
        #expect(throws: NoiseError.outOfTurn) { try initiator.receive([UInt8](repeating: 9, count: 96)) }
        _ = try initiator.start()
        #expect(throws: NoiseError.outOfTurn) { try initiator.start() }
    }

    @Test func neverTrapsOnRandomMessages() throws {
        var generator = NoiseTestGenerator()
        for _ in 0..<200 {
            var initiator = handshake(.initiator)
            _ = try initiator.start()
            let message = generator.bytes(Int.random(in: 0...400, using: &generator))
            #expect(throws: NoiseError.self, generator.comment) { try initiator.receive(message) }
        }
    }

    /// A responder that follows the pattern, but sends a payload of the test.
    private func initiatorStep(against payload: (Curve25519.KeyAgreement.PublicKey) throws -> [UInt8]) throws {
        let staticKey = Curve25519.KeyAgreement.PrivateKey()
        var responder = NoisePattern(role: .responder, staticKey: staticKey, ephemeralKey: .init())
        var initiator = handshake(.initiator)
        let first = try initiator.start()
        _ = try responder.read(try #require(first))
        _ = try initiator.receive(try responder.write(payload: payload(staticKey.publicKey)))
    }

    @Test func payloadMustBeSignedByTheIdentityKey() throws {
        #expect(throws: NoiseError.invalidSignature, "signed for another static key") {
            try initiatorStep { _ in
                let other = Curve25519.KeyAgreement.PrivateKey().publicKey
                return try NoisePayload(keyPair: bob, staticKey: other, muxers: []).serialized()
            }
        }
        #expect(throws: NoiseError.invalidSignature, "without the prefix") {
            try initiatorStep { key in
                try payload(identity: bob.publicKey.protobuf, signature: bob.sign(Array(key.rawRepresentation)))
            }
        }
        #expect(throws: NoiseError.invalidSignature, "signed by another key") {
            try initiatorStep { key in
                let signed = try NoisePayload(keyPair: bob, staticKey: key, muxers: [])
                return payload(identity: alice.publicKey.protobuf, signature: signed.signature)
            }
        }
    }

    @Test func payloadMustBeComplete() {
        #expect(throws: NoiseError.malformedPayload(reason: "no identity key")) { try initiatorStep { _ in [] } }
        #expect(throws: NoiseError.malformedPayload(reason: "no signature")) {
            try initiatorStep { _ in Array(payload(identity: bob.publicKey.protobuf, signature: []).dropLast(2)) }
        }
        #expect(throws: NoiseError.malformedPayload(reason: "expected a protobuf of the payload")) {
            try initiatorStep { _ in [0x0A, 0xFF] }
        }
        #expect(throws: NoiseError.unusableIdentity(.unsupportedKeyType(.secp256k1))) {
            let key = [0x08, 0x02, 0x12, 33] + [UInt8](repeating: 2, count: 33)
            return try initiatorStep { _ in payload(identity: key, signature: [1]) }
        }
        #expect(throws: NoiseError.invalidSignature) {
            try initiatorStep { _ in payload(identity: bob.publicKey.protobuf, signature: []) }
        }
    }

    /// The two fields as protobuf, both shorter than 128 bytes.
    private func payload(identity: [UInt8], signature: [UInt8]) -> [UInt8] {
        [0x0A, UInt8(identity.count)] + identity + [0x12, UInt8(signature.count)] + signature
    }
}
