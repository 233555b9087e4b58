/// A peer and its addresses.
public struct PeerInfo: Hashable, Sendable {
    /// The identity of the peer.
    public var id: PeerID
    /// The addresses without `/p2p/…`, the preferred first.
    public var addresses: [Multiaddr]

    /// Creates a peer with its addresses.
    public init(id: PeerID, addresses: [Multiaddr]) {
        self.id = id
        self.addresses = addresses
    }
}
