/// A node and where it may be reached.
public struct PeerInfo: Hashable, Sendable {
    /// Who it is.
    public var id: PeerID
    /// Where it may be reached, the preferred first; without `/p2p/…`.
    public var addresses: [Multiaddr]

    /// A node and its addresses.
    public init(id: PeerID, addresses: [Multiaddr]) {
        self.id = id
        self.addresses = addresses
    }
}
