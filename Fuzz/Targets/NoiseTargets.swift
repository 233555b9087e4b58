import Crypto
import FoundationEssentials
import LibP2P
import Membership
import NIOCore

extension FuzzTarget {
    /// Noise: the handshake of both ends, its payload, and the frames after it. All keys are fixed, so that a committed
    /// handshake is valid.
    static let noise: [FuzzTarget] = [
        FuzzTarget(
            name: "noise-payload",
            divisor: 4,
            dictionary: [[0x0A], [0x12], [0x22], [0x08, 0x01, 0x12, 0x20]],
            samples: {
                [
                    Sample(name: "plain.bin", bytes: try NoiseFixture().payload(muxers: [])),
                    Sample(
                        name: "muxers.bin",
                        bytes: try NoiseFixture().payload(muxers: ["/yamux/1.0.0", "/mplex/6.7.0"])
                    ),
                ]
            },
            run: { bytes in
                guard let fixture = try? NoiseFixture() else { fatalError("the fixed keys are invalid") }
                let key = fixture.initiatorStatic.publicKey
                guard let payload = try? NoisePayload(serialized: bytes, verifiedFor: key) else { return false }
                guard let written = try? payload.serialized() else { fatalError("a decoded value cannot be encoded") }
                check(
                    (try? NoisePayload(serialized: written, verifiedFor: key)) == payload,
                    "a payload decodes from its own bytes"
                )
                return true
            }
        ),
        FuzzTarget(
            name: "noise-handshake",
            divisor: 20,
            samples: {
                let fixture = try NoiseFixture()
                let messages = try fixture.messages()
                return [
                    Sample(name: "responder.bin", bytes: [0] + frame(messages.first) + frame(messages.third)),
                    Sample(name: "initiator.bin", bytes: [1] + frame(messages.second)),
                ]
            },
            run: { input in
                guard let fixture = try? NoiseFixture() else { fatalError("the fixed keys are invalid") }
                return run(fixture, input)
            }
        ),
        FuzzTarget(
            name: "noise-membership",
            divisor: 20,
            samples: {
                let fixture = try NoiseFixture(hasKeys: true)
                let messages = try fixture.messages()
                return [
                    Sample(name: "responder.bin", bytes: [0] + frame(messages.first) + frame(messages.third)),
                    Sample(name: "initiator.bin", bytes: [1] + frame(messages.second)),
                ]
            },
            run: { input in
                guard let fixture = try? NoiseFixture(hasKeys: true) else { fatalError("the fixed keys are invalid") }
                return run(fixture, input)
            }
        ),
        FuzzTarget(
            name: "noise-frames",
            dictionary: [[0, 0], [0, 16], [0xFF, 0xFF]],
            samples: {
                let fixture = try NoiseFixture()
                return try [[5], [0, 100, 40], [2, 1, 1, 1]].enumerated().map { number, lengths in
                    var sending = try fixture.sessions().initiator.sending
                    var bytes: [UInt8] = [UInt8(number * 3)]
                    for length in lengths {
                        let box = try sending.encrypt(
                            [UInt8](repeating: 0x61, count: length),
                            authenticating: [UInt8]()
                        )
                        bytes += frame(Array(box.ciphertext) + Array(box.tag))
                    }
                    return Sample(name: "\(number).bin", bytes: bytes)
                }
            },
            run: { input in
                guard let session = NoiseFixture.session else { fatalError("the fixed handshake fails") }
                var receiving = session.receiving
                var decoder = NoiseFrameDecoder()
                var revealed = 0
                for segment in Segments(input) {
                    decoder.append(segment)
                    while let frame = try? decoder.next() {
                        let frame = Array(frame.readableBytesView)
                        guard (try? receiving.decrypt(frame, authenticating: [UInt8]())) != nil else { return false }
                        revealed += 1
                    }
                    check(
                        decoder.bufferedByteCount <= NoiseFrameDecoder.maximumFrameLength + 2,
                        "less than a frame is buffered"
                    )
                }
                return revealed > 0
            }
        ),
    ]

    private static func run(_ fixture: NoiseFixture, _ input: [UInt8]) -> Bool {
        // Even: the responder is fed; odd: the initiator.
        var handshake = (input.first ?? 0) % 2 == 0 ? fixture.responder() : fixture.initiator()
        guard (try? handshake.start()) != nil || input.isEmpty || input[0] % 2 == 0 else {
            fatalError("the initiator cannot start")
        }
        var decoder = NoiseFrameDecoder()
        decoder.append(ByteBuffer(bytes: input.dropFirst()))
        while let frame = try? decoder.next(limit: NoiseHandshake.maximumMessageLength) {
            guard let step = try? handshake.receive(Array(frame.readableBytesView)) else { return false }
            if case .complete(_, let session) = step {
                check(session.handshakeHash.count == 32, "a handshake ends in a hash")
                check((session.membership != nil) == fixture.hasKeys, "a handshake proves a cluster key")
                return true
            }
        }
        return false
    }

    private static func frame(_ message: [UInt8]) -> [UInt8] {
        [UInt8(truncatingIfNeeded: message.count >> 8), UInt8(truncatingIfNeeded: message.count)] + message
    }
}

/// Both ends with fixed keys.
struct NoiseFixture {
    typealias PrivateKey = Curve25519.KeyAgreement.PrivateKey

    /// The responder's session after the handshake, created once.
    static let session = try? NoiseFixture().sessions().responder

    let initiatorStatic = Self.keys.0
    private let initiatorEphemeral = Self.keys.1
    private let responderStatic = Self.keys.2
    private let responderEphemeral = Self.keys.3
    private let pairs: (initiator: KeyPair, responder: KeyPair)

    private static let keys = (PrivateKey.fixed(11), PrivateKey.fixed(12), PrivateKey.fixed(13), PrivateKey.fixed(14))
    private static let keyPairs = Result {
        (try KeyPair(seed: [UInt8](repeating: 1, count: 32)), try KeyPair(seed: [UInt8](repeating: 2, count: 32)))
    }

    /// Whether both ends have a cluster key; the responder's second one is that of the initiator.
    let hasKeys: Bool

    init(hasKeys: Bool = false) throws {
        pairs = try Self.keyPairs.get()
        self.hasKeys = hasKeys
    }

    private func membership(_ bytes: [UInt8]) -> ClusterKeys? {
        hasKeys ? ClusterKeys(bytes.compactMap { ClusterKey(secret: [UInt8](repeating: $0, count: 32)) }) : nil
    }

    func initiator() -> NoiseHandshake {
        NoiseHandshake(
            role: .initiator,
            keyPair: pairs.initiator,
            expectedPeer: nil,
            muxers: ["/yamux/1.0.0"],
            membership: membership([2]),
            staticKey: initiatorStatic,
            ephemeralKey: initiatorEphemeral
        )
    }

    func responder() -> NoiseHandshake {
        NoiseHandshake(
            role: .responder,
            keyPair: pairs.responder,
            expectedPeer: nil,
            muxers: ["/yamux/1.0.0"],
            membership: membership([1, 2]),
            staticKey: responderStatic,
            ephemeralKey: responderEphemeral
        )
    }

    func payload(muxers: [String]) throws -> [UInt8] {
        try NoisePayload(keyPair: pairs.initiator, staticKey: initiatorStatic.publicKey, muxers: muxers).serialized()
    }

    func messages() throws -> (first: [UInt8], second: [UInt8], third: [UInt8]) {
        let outcome = try handshake()
        return (outcome.first, outcome.second, outcome.third)
    }

    func sessions() throws -> (initiator: NoiseSession, responder: NoiseSession) {
        let outcome = try handshake()
        return (outcome.initiator, outcome.responder)
    }

    private func handshake() throws -> (
        first: [UInt8], second: [UInt8], third: [UInt8], initiator: NoiseSession, responder: NoiseSession
    ) {
        var (initiator, responder) = (initiator(), responder())
        guard let first = try initiator.start(), case .reply(let second) = try responder.receive(first),
            case .complete(let third?, let own) = try initiator.receive(second),
            case .complete(_, let other) = try responder.receive(third)
        else { throw FuzzError("the handshake with the fixed keys does not complete") }
        return (first, second, third, own, other)
    }
}

extension Curve25519.KeyAgreement.PrivateKey {
    /// Any 32 bytes are a private key (RFC 7748, section 5).
    fileprivate static func fixed(_ byte: UInt8) -> Self {
        (try? Self(rawRepresentation: [UInt8](repeating: byte, count: 32))) ?? Self()
    }
}
