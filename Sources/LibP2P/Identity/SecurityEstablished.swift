import Multiformats

/// The user inbound event of a security handler after its handshake.
///
/// The next handlers must be added while the event passes: data that came with the end of the handshake follows at
/// once.
public struct SecurityEstablished: Hashable, Sendable {
    /// The peer.
    public let remotePeer: PeerID
    /// The public key of the peer.
    public let remotePublicKey: PublicKey
    /// The muxer that the handshake selected; `nil` if it is still to be negotiated.
    public let earlyMuxer: String?
    /// Whether the other end is this host, too: it has the certificate or the Noise key that this host made.
    public let isOwnHost: Bool

    /// The fingerprint of the cluster key that the peer has proven to know, if it had to.
    public let membership: String?

    /// Creates an event for a peer with this key.
    public init(
        remotePublicKey: PublicKey,
        earlyMuxer: String?,
        membership: String? = nil,
        isOwnHost: Bool = false
    ) {
        self.remotePeer = remotePublicKey.peerID
        self.remotePublicKey = remotePublicKey
        self.earlyMuxer = earlyMuxer
        self.membership = membership
        self.isOwnHost = isOwnHost
    }
}
