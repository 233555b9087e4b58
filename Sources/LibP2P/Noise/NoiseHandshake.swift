import Crypto
import Membership
import Multiformats

/// The handshake of libp2p's Noise (libp2p/specs, noise) without I/O: messages in, messages out.
///
/// The initiator takes its first message from ``start()``. Each message of the remote goes to ``receive(_:)``. Messages
/// exclude their frame's length.
public struct NoiseHandshake: Sendable {
    /// The result of a message of the remote.
    public enum Step: Sendable {
        /// The handshake continues with this message to the remote.
        case reply([UInt8])
        /// The handshake is complete after this message, if any, was sent.
        case complete(reply: [UInt8]?, session: NoiseSession)
        /// The remote is another peer than expected. It still gets the message, so that it learns the id of this node:
        /// in this way nodes discover each other's id. Then the connection must be closed.
        case reject(reply: [UInt8], error: NoiseError)
    }

    /// The maximum length of a handshake message in bytes. One with an RSA key of 8192 bits and its signature takes
    /// less than 3 KiB.
    public static let maximumMessageLength = 8 * 1024

    private let keyPair: KeyPair
    private let expectedPeer: PeerID?
    private let muxers: [String]
    private let staticPublicKey: Curve25519.KeyAgreement.PublicKey
    private var pattern: NoisePattern
    /// The responder's patterns for the other keys that it accepts, until the first message decides.
    private var alternatives: [(pattern: NoisePattern, fingerprint: String)] = []
    /// The cluster key of the handshake.
    private var fingerprint: String?

    /// Creates a handshake.
    ///
    /// - Parameters:
    ///   - role: the role of this end.
    ///   - keyPair: the identity of this end.
    ///   - expectedPeer: the expected peer; `nil` for any.
    ///   - muxers: the muxers to offer, the preferred one first.
    ///   - membership: the cluster keys of which both ends must have one: the initiator uses the first, the responder accepts
    ///     all. `nil` for a handshake without.
    ///   - staticKey: the Noise key of this end.
    ///   - ephemeralKey: a key for this handshake alone; never reuse it.
    public init(
        role: NoiseRole,
        keyPair: KeyPair,
        expectedPeer: PeerID?,
        muxers: [String],
        membership: ClusterKeys? = nil,
        staticKey: Curve25519.KeyAgreement.PrivateKey = .init(),
        ephemeralKey: Curve25519.KeyAgreement.PrivateKey = .init()
    ) {
        self.keyPair = keyPair
        self.expectedPeer = expectedPeer
        self.muxers = muxers
        self.staticPublicKey = staticKey.publicKey
        func pattern(_ key: ClusterKey?) -> NoisePattern {
            NoisePattern(
                role: role,
                staticKey: staticKey,
                ephemeralKey: ephemeralKey,
                preSharedKey: key?.handshake
            )
        }
        self.pattern = pattern(membership?.current)
        fingerprint = membership?.current.fingerprint
        if role == .responder, let membership {
            alternatives = membership.others.map { (pattern($0), $0.fingerprint) }
        }
    }

    /// The first message of the initiator; `nil` for the responder.
    ///
    /// - Throws: ``NoiseError/outOfTurn`` on a second call.
    public mutating func start() throws(NoiseError) -> [UInt8]? {
        pattern.role == .initiator ? try pattern.write(payload: []) : nil
    }

    /// Processes the next message of the remote.
    ///
    /// - Throws: ``NoiseError``. The handshake has then failed, and there is nothing to send.
    public mutating func receive(_ message: [UInt8]) throws(NoiseError) -> Step {
        guard message.count <= Self.maximumMessageLength else {
            throw .messageTooLong(limit: Self.maximumMessageLength, actual: message.count)
        }
        let payload = try read(message)
        guard let remoteStaticKey = pattern.remoteStaticKey else {
            // The payload of the first message is unprotected, so it is ignored.
            return .reply(try pattern.write(payload: ownPayload()))
        }
        let remote = try NoisePayload(serialized: payload, verifiedFor: remoteStaticKey)
        let reply = pattern.isDone ? nil : try pattern.write(payload: ownPayload())
        if let expectedPeer, expectedPeer != remote.publicKey.peerID {
            let error = NoiseError.unexpectedPeer(expected: expectedPeer, actual: remote.publicKey.peerID)
            guard let reply else { throw error }
            return .reject(reply: reply, error: error)
        }
        return .complete(reply: reply, session: try session(with: remote))
    }

    /// Reads a message. The first one that a responder gets decides which of the cluster's keys the handshake has.
    private mutating func read(_ message: [UInt8]) throws(NoiseError) -> [UInt8] {
        guard fingerprint != nil, pattern.role == .responder, pattern.remoteEphemeralKey == nil else {
            return try pattern.read(message)
        }
        defer { alternatives = [] }
        // A failed attempt must leave nothing behind.
        var attempt = pattern
        do throws(NoiseError) {
            let payload = try attempt.read(message)
            pattern = attempt
            return payload
        } catch {
            guard error == .authenticationFailed else { throw error }
        }
        for alternative in alternatives {
            attempt = alternative.pattern
            guard let payload = try? attempt.read(message) else { continue }
            pattern = attempt
            fingerprint = alternative.fingerprint
            return payload
        }
        throw .unprovenMembership
    }

    /// Whether the remote end has the Noise key of this end, and so is the same host.
    var isWithOwnHost: Bool { pattern.remoteStaticKey?.rawRepresentation == staticPublicKey.rawRepresentation }

    private func ownPayload() throws(NoiseError) -> [UInt8] {
        try NoisePayload(keyPair: keyPair, staticKey: staticPublicKey, muxers: muxers).serialized()
    }

    private func session(with remote: NoisePayload) throws(NoiseError) -> NoiseSession {
        let (sending, receiving) = try pattern.split()
        let isInitiator = pattern.role == .initiator
        return NoiseSession(
            sending: sending,
            receiving: receiving,
            remotePublicKey: remote.publicKey,
            remoteMuxers: remote.muxers,
            earlyMuxer: NoiseSession.earlyMuxer(
                initiator: isInitiator ? muxers : remote.muxers,
                responder: isInitiator ? remote.muxers : muxers
            ),
            handshakeHash: pattern.handshakeHash,
            membership: fingerprint
        )
    }
}
