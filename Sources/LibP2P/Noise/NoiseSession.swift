import Multiformats

/// The outcome of a handshake: who is at the other end, and the keys of both directions.
public struct NoiseSession: Sendable {
    /// The state that protects what is sent.
    public var sending: NoiseCipherState
    /// The state that reveals what is received.
    public var receiving: NoiseCipherState
    /// The identity key of the other end; it signed the key that the handshake was made with.
    public let remotePublicKey: PublicKey
    /// The stream multiplexers that the other end offers, the preferred first; empty if it named none.
    public let remoteMuxers: [String]
    /// The multiplexer that both ends agree upon without further ado: the first of the initiator's that the responder
    /// has as well (libp2p/specs, inlined-muxer-negotiation). Nil if an end named none or none is common: it is then
    /// negotiated by multistream-select.
    public let earlyMuxer: String?
    /// The hash of the whole handshake, equal at both ends (Noise, section 11.2).
    public let handshakeHash: [UInt8]

    /// The id of the other end.
    public var remotePeer: PeerID { remotePublicKey.peerID }

    static func earlyMuxer(initiator: [String], responder: [String]) -> String? {
        initiator.first { responder.contains($0) }
    }
}
