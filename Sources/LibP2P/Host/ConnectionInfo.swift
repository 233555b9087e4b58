import Multiformats
import Synchronization

/// The properties of a connection and the negotiated protocols.
public struct ConnectionInfo: Equatable, Sendable {
    /// The address of the peer, as this host sees it.
    public var remoteAddress: Multiaddr
    /// Whether the peer dialled.
    public var isInbound: Bool
    /// The security protocol: `/tls/1.0.0` or `/noise`.
    public var security: String
    /// The stream muxer: `/yamux/1.0.0`.
    public var muxer: String
    /// Whether the security handshake selected the muxer, by ALPN or Noise's extension, without a negotiation of its
    /// own.
    public var hasEarlyMuxer: Bool
    /// The round-trip time of the last ping; `nil` before the first answer.
    public var roundTripTime: Duration?
    /// The time since the handshakes ended.
    public var age: Duration
}

extension Host {
    /// The connections to a peer, the oldest first.
    public func connections(with peer: PeerID) -> [ConnectionInfo] {
        let connections = state.withLock { $0.table.connections[peer] ?? [] }
        return connections.map(\.info)
    }
}
