/// What happened to a host since it was made. All numbers only grow.
public struct HostStatistics: Equatable, Sendable {
    /// Connections that others made and whose handshakes succeeded.
    public internal(set) var inboundConnectionsOpened = 0
    /// Connections that this host made.
    public internal(set) var outboundConnectionsOpened = 0
    /// Connections of others that ended.
    public internal(set) var inboundConnectionsClosed = 0
    /// Connections of this host that ended.
    public internal(set) var outboundConnectionsClosed = 0
    /// Connections that were closed because nothing happened on them.
    public internal(set) var idleConnectionsClosed = 0
    /// Unused connections that made room at the high-water mark.
    public internal(set) var connectionsTrimmed = 0
    /// Connections of others that found no place, before any handshake.
    public internal(set) var connectionsRefused = 0
    /// Connections that could not be accepted, for lack of descriptors for example.
    public internal(set) var acceptFailures = 0
    /// Handshakes that failed, in both directions, by reason.
    public internal(set) var handshakesFailed: [HandshakeFailure: Int] = [:]
    /// Dials that were begun, one for each address.
    public internal(set) var dialsStarted = 0
    /// Dials that yielded no connection.
    public internal(set) var dialsFailed = 0
    /// Dials that were not even begun because the address failed a short while ago.
    public internal(set) var dialsHeldBack = 0
    /// Streams that peers opened.
    public internal(set) var inboundStreamsOpened = 0
    /// Streams that this host opened.
    public internal(set) var outboundStreamsOpened = 0
    /// Streams of peers that were reset at once because there were too many.
    public internal(set) var streamsRefused = 0
    /// Streams that were reset because too many of their bytes lay unread.
    public internal(set) var streamsOverMemory = 0
    /// Peers that were disconnected because they misbehaved, by reason.
    public internal(set) var peersDropped: [DropReason: Int] = [:]
}

/// Why the handshakes of a connection failed.
public enum HandshakeFailure: String, CaseIterable, Sendable {
    /// They did not end in time.
    case timeout
    /// The peer, or the network, ended the connection.
    case closed
    /// There was no common security protocol or muxer, or the negotiation was malformed.
    case negotiation
    /// TLS failed, other than by the peer's certificate.
    case tls
    /// Noise failed, other than by the peer's identity.
    case noise
    /// The peer did not prove an identity that can be used.
    case identity
    /// Another peer answered than the expected one.
    case unexpectedPeer
    /// The peer was this host itself.
    case selfDial
    /// The limit on connections, in all or with the peer, was reached.
    case limit
    /// Anything else, the host's own shutdown for example.
    case other
}

/// Why a peer was disconnected as one that misbehaves.
public enum DropReason: String, CaseIterable, Sendable {
    /// It broke the muxer's protocol.
    case protocolViolation
    /// It asked for more answers than it read.
    case controlFlood
    /// It went on opening streams beyond the limit.
    case streamFlood
    /// It answered no ping.
    case unresponsive
    /// What it said of itself by identify was malformed or too long.
    case malformedIdentify
    /// Its bytes failed authentication, or TLS or Noise broke otherwise.
    case brokenSecurity
}

extension Host {
    /// What happened since this host was made.
    public var statistics: HostStatistics { resources.statistics }
}
