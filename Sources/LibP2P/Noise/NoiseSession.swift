import Multiformats

/// The result of a handshake: the peer, and the keys of both directions.
public struct NoiseSession: Sendable {
    /// The cipher state for sending.
    public var sending: NoiseCipherState
    /// The cipher state for receiving.
    public var receiving: NoiseCipherState
    /// The identity key of the peer, which signed its Noise key.
    public let remotePublicKey: PublicKey
    /// The muxers that the peer offers, the preferred one first; empty if it offers none.
    public let remoteMuxers: [String]
    /// The muxer that both ends selected in the handshake: the first of the initiator's that the responder supports
    /// (libp2p/specs, inlined-muxer-negotiation). `nil` without a common one: multistream-select then negotiates it.
    public let earlyMuxer: String?
    /// The hash of the whole handshake, equal at both ends (Noise, section 11.2).
    public let handshakeHash: [UInt8]
    /// The fingerprint of the cluster key that both ends have proven to know, if one was asked for.
    public let membership: String?

    /// The id of the peer.
    public var remotePeer: PeerID { remotePublicKey.peerID }

    static func earlyMuxer(initiator: [String], responder: [String]) -> String? {
        initiator.first { responder.contains($0) }
    }
}
