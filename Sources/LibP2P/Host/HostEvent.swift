import Multiformats

/// Something that happened to a ``Host``'s connections.
public enum HostEvent: Equatable, Sendable {
    /// The first connection with a peer was established.
    case connected(PeerID)
    /// A peer told of itself, at the begin of a connection or on a change.
    case identified(PeerID, IdentifyInfo)
    /// The last connection with a peer ended.
    case disconnected(PeerID)
}
