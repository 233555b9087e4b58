import Multiformats

/// The user inbound event by which a channel handler tells that the connection is secured from here on.
///
/// Whoever adds the next handlers does so while the event passes: data that came along with the end of the handshake
/// follows right after it.
public struct SecurityEstablished: Hashable, Sendable {
    /// Who is at the other end.
    public let remotePeer: PeerID
    /// The key that proved it.
    public let remotePublicKey: PublicKey
    /// The stream multiplexer that the handshake agreed upon; nil if it is to be negotiated as usual.
    public let earlyMuxer: String?

    /// A connection to the node that has this key.
    public init(remotePublicKey: PublicKey, earlyMuxer: String?) {
        self.remotePeer = remotePublicKey.peerID
        self.remotePublicKey = remotePublicKey
        self.earlyMuxer = earlyMuxer
    }
}
