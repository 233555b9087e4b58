import Multiformats
import Synchronization

/// What is known of a connection, and what was agreed upon for it.
public struct ConnectionInfo: Equatable, Sendable {
    /// Where the peer is, as this host sees it.
    public var remoteAddress: Multiaddr
    /// Whether the peer dialled.
    public var isInbound: Bool
    /// The security protocol: `/tls/1.0.0` or `/noise`.
    public var security: String
    /// The stream muxer: `/yamux/1.0.0`.
    public var muxer: String
    /// Whether the muxer was agreed upon within the security handshake, by ALPN or Noise's extension, and not by a
    /// negotiation of its own.
    public var hasEarlyMuxer: Bool
    /// The time from the last ping to its answer; `nil` before the first answer.
    public var roundTripTime: Duration?
    /// How long ago the handshakes ended.
    public var age: Duration
}

extension Host {
    /// The connections with a peer, the oldest first.
    public func connections(with peer: PeerID) -> [ConnectionInfo] {
        let connections = state.withLock { $0.table.connections[peer] ?? [] }
        return connections.map(\.info)
    }
}
