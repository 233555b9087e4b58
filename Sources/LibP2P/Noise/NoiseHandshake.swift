import Crypto
import Multiformats

/// The handshake of libp2p's Noise (libp2p/specs, noise) without any I/O: messages in, messages out.
///
/// The initiator takes its first message from ``start()``; after that, each message of the other end goes to
/// ``receive(_:)``. Messages are without their frame's length.
public struct NoiseHandshake: Sendable {
    /// What follows from a message of the other end.
    public enum Step: Sendable {
        /// The handshake goes on with this message to the other end.
        case reply([UInt8])
        /// The handshake is done, once the message, if any, has been sent.
        case complete(reply: [UInt8]?, session: NoiseSession)
        /// The other end proved to be somebody else than was expected. It still gets the message, so that it learns who
        /// called: that is how nodes find out each other's id. Then the connection is to be closed.
        case reject(reply: [UInt8], error: NoiseError)
    }

    /// The longest handshake message that is accepted, in bytes. One with an RSA key of 8192 bits and its signature
    /// takes less than 3 KiB.
    public static let maximumMessageLength = 8 * 1024

    private let keyPair: KeyPair
    private let expectedPeer: PeerID?
    private let muxers: [String]
    private let staticPublicKey: Curve25519.KeyAgreement.PublicKey
    private var pattern: NoisePattern

    /// A handshake that has not begun.
    ///
    /// - Parameters:
    ///   - role: which end this is.
    ///   - keyPair: this end's identity.
    ///   - expectedPeer: who the other end must be; nil for anybody.
    ///   - muxers: the stream multiplexers to offer, the preferred first.
    ///   - staticKey: this end's Noise key.
    ///   - ephemeralKey: a key for this handshake alone; never to be used twice.
    public init(
        role: NoiseRole,
        keyPair: KeyPair,
        expectedPeer: PeerID?,
        muxers: [String],
        staticKey: Curve25519.KeyAgreement.PrivateKey = .init(),
        ephemeralKey: Curve25519.KeyAgreement.PrivateKey = .init()
    ) {
        self.keyPair = keyPair
        self.expectedPeer = expectedPeer
        self.muxers = muxers
        self.staticPublicKey = staticKey.publicKey
        self.pattern = NoisePattern(role: role, staticKey: staticKey, ephemeralKey: ephemeralKey)
    }

    /// The message that the initiator begins with; nil for the responder, which waits.
    ///
    /// - Throws: ``NoiseError/outOfTurn`` when called twice.
    public mutating func start() throws(NoiseError) -> [UInt8]? {
        pattern.role == .initiator ? try pattern.write(payload: []) : nil
    }

    /// Takes the other end's next message.
    ///
    /// - Throws: ``NoiseError``. The handshake has then failed for good, and there is nothing to send.
    public mutating func receive(_ message: [UInt8]) throws(NoiseError) -> Step {
        guard message.count <= Self.maximumMessageLength else {
            throw .messageTooLong(limit: Self.maximumMessageLength, actual: message.count)
        }
        let payload = try pattern.read(message)
        guard let remoteStaticKey = pattern.remoteStaticKey else {
            // The first message: its payload is neither protected nor of any use.
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
            handshakeHash: pattern.handshakeHash
        )
    }
}
