import Multiformats

/// An event on a ``Host``'s connections.
public enum HostEvent: Equatable, Sendable {
    /// The first connection to a peer was established.
    case connected(PeerID)
    /// A peer identified itself, after connecting or on a change.
    case identified(PeerID, IdentifyInfo)
    /// The last connection to a peer ended.
    case disconnected(PeerID)
}
