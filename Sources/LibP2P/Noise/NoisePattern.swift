import Crypto
internal import FoundationEssentials

/// The role of an end of a connection.
public enum NoiseRole: Hashable, Sendable {
    /// The end that dialled; it sends the first message.
    case initiator
    /// The end that accepted.
    case responder
}

/// The handshake pattern XX with 25519, ChaChaPoly and SHA-256, with opaque payloads (Noise, section 7.5):
///
///     -> e
///     <- e, ee, s, es
///     -> s, se
///
/// With a pre-shared key it is XXpsk0 (section 9.4): the key is mixed in before the first message, `-> psk, e`.
struct NoisePattern: Sendable {
    typealias PrivateKey = Curve25519.KeyAgreement.PrivateKey
    typealias PublicKey = Curve25519.KeyAgreement.PublicKey

    private static let keyLength = 32

    /// The next message.
    private enum Turn: Sendable {
        case first, second, third, done

        var next: Turn {
            switch self {
            case .first: .second
            case .second: .third
            case .third, .done: .done
            }
        }

        var sender: NoiseRole? {
            switch self {
            case .first, .third: .initiator
            case .second: .responder
            case .done: nil
            }
        }
    }

    let role: NoiseRole
    private let staticKey: PrivateKey
    private let ephemeralKey: PrivateKey
    private(set) var remoteStaticKey: PublicKey?
    private(set) var remoteEphemeralKey: PublicKey?
    private var symmetric: NoiseSymmetricState
    private let hasPreSharedKey: Bool
    private var turn = Turn.first

    /// - Parameters:
    ///   - ephemeralKey: a key of this handshake alone.
    ///   - preSharedKey: 32 bytes; `nil` for the pattern without one.
    init(
        role: NoiseRole,
        staticKey: PrivateKey,
        ephemeralKey: PrivateKey,
        prologue: [UInt8] = [],
        preSharedKey: SymmetricKey? = nil
    ) {
        self.role = role
        self.staticKey = staticKey
        self.ephemeralKey = ephemeralKey
        hasPreSharedKey = preSharedKey != nil
        symmetric = NoiseSymmetricState(
            protocolName: preSharedKey == nil
                ? "Noise_XX_25519_ChaChaPoly_SHA256" : "Noise_XXpsk0_25519_ChaChaPoly_SHA256"
        )
        symmetric.mixHash(prologue)
        if let preSharedKey { symmetric.mixKeyAndHash(preSharedKey) }
    }

    var isDone: Bool { turn == .done }

    /// The handshake hash, equal at both ends.
    var handshakeHash: [UInt8] { symmetric.hash }

    mutating func write(payload: [UInt8]) throws(NoiseError) -> [UInt8] {
        guard turn.sender == role else { throw .outOfTurn }
        var message: [UInt8] = []
        switch turn {
        case .first:
            message = writeEphemeralKey()
        case .second:
            message = writeEphemeralKey()
            try mix(ephemeralKey, remoteEphemeralKey)
            message += try symmetric.encryptAndHash(Array(staticKey.publicKey.rawRepresentation))
            try mix(staticKey, remoteEphemeralKey)
        case .third, .done:
            message = try symmetric.encryptAndHash(Array(staticKey.publicKey.rawRepresentation))
            try mix(staticKey, remoteEphemeralKey)
        }
        message += try symmetric.encryptAndHash(payload)
        turn = turn.next
        return message
    }

    /// The payload of `message`. An error ends the handshake.
    mutating func read(_ message: [UInt8]) throws(NoiseError) -> [UInt8] {
        guard let sender = turn.sender, sender != role else { throw .outOfTurn }
        var rest = message[...]
        switch turn {
        case .first:
            try readEphemeralKey(&rest)
        case .second:
            try readEphemeralKey(&rest)
            try mix(ephemeralKey, remoteEphemeralKey)
            try readStaticKey(&rest)
            try mix(ephemeralKey, remoteStaticKey)
        case .third, .done:
            try readStaticKey(&rest)
            try mix(ephemeralKey, remoteStaticKey)
        }
        let payload = try symmetric.decryptAndHash(rest)
        turn = turn.next
        return payload
    }

    /// The cipher states for both directions.
    func split() throws(NoiseError) -> (sending: NoiseCipherState, receiving: NoiseCipherState) {
        guard isDone else { throw .outOfTurn }
        let (initiator, responder) = symmetric.split()
        return role == .initiator ? (initiator, responder) : (responder, initiator)
    }

    private mutating func writeEphemeralKey() -> [UInt8] {
        let key = Array(ephemeralKey.publicKey.rawRepresentation)
        mixEphemeralKey(key)
        return key
    }

    private mutating func readEphemeralKey(_ rest: inout ArraySlice<UInt8>) throws(NoiseError) {
        let key = try Self.take(Self.keyLength, from: &rest)
        remoteEphemeralKey = try Self.publicKey(Array(key))
        mixEphemeralKey(Array(key))
    }

    /// With a pre-shared key ephemeral keys are also mixed into the cipher's key, so that it is a new one each time (Noise,
    /// section 9.2).
    private mutating func mixEphemeralKey(_ key: [UInt8]) {
        symmetric.mixHash(key)
        if hasPreSharedKey { symmetric.mixKey(key) }
    }

    private mutating func readStaticKey(_ rest: inout ArraySlice<UInt8>) throws(NoiseError) {
        let key = try Self.take(Self.keyLength + symmetric.overhead, from: &rest)
        remoteStaticKey = try Self.publicKey(symmetric.decryptAndHash(key))
    }

    private static func publicKey(_ bytes: [UInt8]) throws(NoiseError) -> PublicKey {
        guard let key = try? PublicKey(rawRepresentation: bytes) else { throw .invalidKey }
        return key
    }

    private static func take(_ count: Int, from rest: inout ArraySlice<UInt8>) throws(NoiseError) -> ArraySlice<UInt8> {
        guard rest.count >= count else { throw .messageTooShort(expected: count, actual: rest.count) }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }

    private mutating func mix(_ own: PrivateKey, _ remote: PublicKey?) throws(NoiseError) {
        guard let remote, let secret = try? own.sharedSecretFromKeyAgreement(with: remote) else { throw .invalidKey }
        // A remote key of low order makes the secret zero for any own key (RFC 7748, section 6.1), and the library does
        // not check this.
        guard secret.withUnsafeBytes({ $0.reduce(0, |) }) != 0 else { throw .invalidKey }
        symmetric.mixKey(secret)
    }
}
