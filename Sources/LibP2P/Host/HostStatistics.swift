import Multiformats
import Synchronization

/// The counters of a host since its creation. All numbers only grow.
public struct HostStatistics: Equatable, Sendable {
    /// Inbound connections whose handshake succeeded.
    public internal(set) var inboundConnectionsOpened = 0
    /// Outbound connections whose handshake succeeded.
    public internal(set) var outboundConnectionsOpened = 0
    /// Connections whose handshake succeeded, by their properties.
    public internal(set) var connectionsOpened: [ConnectionKind: Int] = [:]
    /// Inbound connections that ended.
    public internal(set) var inboundConnectionsClosed = 0
    /// Outbound connections that ended.
    public internal(set) var outboundConnectionsClosed = 0
    /// Connections that were closed as idle.
    public internal(set) var idleConnectionsClosed = 0
    /// Unused connections that were closed at the high-water mark.
    public internal(set) var connectionsTrimmed = 0
    /// Inbound connections that were closed at a limit, before any handshake.
    public internal(set) var connectionsRefused = 0
    /// Connections that could not be accepted, for example for lack of descriptors.
    public internal(set) var acceptFailures = 0
    /// Failed handshakes of both directions by reason.
    public internal(set) var handshakesFailed: [HandshakeFailure: Int] = [:]
    /// Dials, one for each address.
    public internal(set) var dialsStarted = 0
    /// Dials without a resulting connection.
    public internal(set) var dialsFailed = 0
    /// Failed dials by reason and the version of the address.
    public internal(set) var dialErrors: [DialError: Int] = [:]
    /// Identify messages that peers asked for and got.
    public internal(set) var identifySent = 0
    /// Identify messages that peers answered with.
    public internal(set) var identifyReceived = 0
    /// Dials that were skipped because the address was in backoff.
    public internal(set) var dialsHeldBack = 0
    /// Streams that peers opened.
    public internal(set) var inboundStreamsOpened = 0
    /// Streams that this host opened.
    public internal(set) var outboundStreamsOpened = 0
    /// Inbound streams that were reset at once at a limit.
    public internal(set) var streamsRefused = 0
    /// Streams that were reset because too many of their bytes were unread.
    public internal(set) var streamsOverMemory = 0
    /// Misbehaving peers that were disconnected, by reason.
    public internal(set) var peersDropped: [DropReason: Int] = [:]
}

/// The reason of a failed handshake.
public enum HandshakeFailure: String, CaseIterable, Sendable {
    /// The handshake timed out.
    case timeout
    /// The peer or the network closed the connection.
    case closed
    /// The peer ended the TLS handshake with an alert. Nodes of Spegel in Go do so when they dial an address only to learn
    /// the id behind it.
    case aborted
    /// There was no common security protocol or muxer, or the negotiation was malformed.
    case negotiation
    /// TLS failed, other than by the peer's certificate.
    case tls
    /// Noise failed, other than by the peer's identity.
    case noise
    /// The peer did not prove a usable identity.
    case identity
    /// Another peer than the expected one answered.
    case unexpectedPeer
    /// The peer did not prove that it knows the cluster key.
    case membership
    /// The peer was this host itself.
    case selfDial
    /// The peer was another node with the identity of this host.
    case sharedIdentity
    /// The limit of connections, in all or to the peer, was reached.
    case limit
    /// Any other reason, for example the host's own shutdown.
    case other
}

/// The properties of a connection that metrics are told apart by.
public struct ConnectionKind: Hashable, Sendable {
    /// Whether the peer dialled.
    public var isInbound: Bool
    /// The security protocol: `/tls/1.0.0` or `/noise`.
    public var security: String
    /// The stream muxer: `/yamux/1.0.0`.
    public var muxer: String
    /// Whether the security handshake selected the muxer.
    public var hasEarlyMuxer: Bool
    /// The version of the peer's address.
    public var ipVersion: IPVersion

    /// Creates a kind.
    public init(isInbound: Bool, security: String, muxer: String, hasEarlyMuxer: Bool, ipVersion: IPVersion) {
        self.isInbound = isInbound
        self.security = security
        self.muxer = muxer
        self.hasEarlyMuxer = hasEarlyMuxer
        self.ipVersion = ipVersion
    }
}

/// The version of an address.
public enum IPVersion: String, Sendable {
    /// IPv4.
    case ip4
    /// IPv6.
    case ip6
    /// A name.
    case unknown

    init(_ address: Multiaddr) {
        self =
            switch address.ipAddress?.unmapped {
            case .v4: .ip4
            case .v6: .ip6
            case nil: .unknown
            }
    }
}

/// A failed dial: its reason and the version of the address.
public struct DialError: Hashable, Sendable {
    /// The reason, in the words of libp2p's metrics.
    public enum Reason: String, CaseIterable, Sendable {
        /// Another address of the peer was faster, or the caller went away.
        case canceled
        /// The handshake did not end in time.
        case deadline
        /// The TCP connection was not made in time.
        case timeout
        /// No program listens at the address.
        case connectionRefused = "connection refused"
        /// Any other reason.
        case other
    }

    /// The reason.
    public var reason: Reason
    /// The version of the address.
    public var ipVersion: IPVersion
}

/// The reason for disconnecting a misbehaving peer.
public enum DropReason: String, CaseIterable, Sendable {
    /// The peer broke the muxer's protocol.
    case protocolViolation
    /// The peer requested more answers than it read.
    case controlFlood
    /// The peer kept opening streams above the limit.
    case streamFlood
    /// The peer did not answer a ping.
    case unresponsive
    /// The peer's identify message was malformed or too long.
    case malformedIdentify
    /// The peer's bytes failed authentication, or TLS or Noise failed otherwise.
    case brokenSecurity
}

extension Host {
    /// The counters since this host was created.
    public var statistics: HostStatistics { resources.statistics }

    /// The connections in their handshakes.
    public var pendingConnections: (inbound: Int, outbound: Int) {
        state.withLock { ($0.table.pendingInboundCount, $0.table.pendingOutbound) }
    }
}
