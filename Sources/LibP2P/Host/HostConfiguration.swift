import Membership
import Multiformats

/// The listen addresses, identity data and limits of a ``Host``.
public struct HostConfiguration: Sendable {
    /// The addresses to listen on: `/ip4|ip6/ADDRESS/tcp/PORT`; port 0 selects a free one.
    public var listenAddresses: [Multiaddr]
    /// The name and version of this program in identify messages.
    public var agentVersion: String
    /// The name and version of the network in identify messages.
    public var protocolVersion = "ipfs/0.1.0"
    /// Additional entries in identify's list of protocols: facts for peers that understand them. Others ignore them.
    public var announcements: [String] = []

    /// The security protocols, the preferred one first.
    public var securities: [SecurityProtocol] = SecurityProtocol.open
    /// The cluster keys, one of which every peer must have; `nil` to speak with any peer. With them
    /// ``SecurityProtocol/cluster`` is the only security protocol.
    public var membership: KeyRing?
    /// Whether the security handshake offers the muxer, which saves a round trip.
    var offersEarlyMuxer = true

    /// The maximum number of established and pending connections.
    public var maxConnections = 1024
    /// The number of established connections above which those unused for the longest time are closed. A connection
    /// with an open stream is never closed.
    public var connectionHighWaterMark = 512
    /// The maximum number of connections to one peer. Simultaneous dials of both sides make two. The rest is for a peer
    /// that reconnects before its dead connections are detected.
    public var maxConnectionsPerPeer = 8
    /// The maximum number of inbound connections in their handshake.
    public var maxPendingInboundConnections = 128
    /// The maximum number of these from one IPv4 address or IPv6 /64, without loopback, so that one machine cannot
    /// occupy all. A node dials once, so that it needs far fewer.
    public var maxPendingInboundPerAddress = 32
    /// The maximum number of inbound streams of a connection, including those whose handlers still run.
    public var maxInboundStreamsPerConnection = 256
    /// The maximum number of inbound streams of all peers.
    public var maxInboundStreams = 4096
    /// The receive window of a stream in bytes. At least 256 KiB, yamux's initial window.
    public var streamReceiveWindow = 256 * 1024
    /// The maximum receive window of a stream whose reader keeps up with its sender.
    public var maxStreamReceiveWindow = 1024 * 1024
    /// The maximum growth of all windows of a connection in bytes.
    public var maxWindowGrowthPerConnection = 4 * 1024 * 1024
    /// The maximum number of unread bytes of a connection. Above it, the stream that receives more is reset. The value
    /// covers the initial windows of 64 streams and all window growth, so that a peer within its windows is not cut
    /// off.
    public var maxUnreadBytesPerConnection = 20 * 1024 * 1024
    /// The number of unsent bytes of a connection above which writers are suspended.
    public var maxQueuedBytesPerConnection = 4 * 1024 * 1024
    /// The maximum number of unread and unsent bytes of all connections. Above it, streams that add to it are reset.
    public var maxBufferedBytes = 64 * 1024 * 1024
    /// The number of unsent bytes of a stream above which its writer is suspended.
    public var streamSendQueue = 64 * 1024
    /// The maximum number of addresses that one dial tries.
    public var maxDialAddresses = 8

    /// The deadline of a dial: TCP, security and muxer handshakes of one address.
    public var dialTimeout = Duration.seconds(5)
    /// The delay before the next address is dialled beside the previous one. A failure skips it.
    public var dialStagger = Duration.milliseconds(150)
    /// The deadline of the handshakes of an accepted connection.
    public var acceptTimeout = Duration.seconds(15)
    /// The deadline of the protocol negotiation of a stream.
    public var streamNegotiationTimeout = Duration.seconds(10)
    /// The time-out of a read or write without one of its own.
    public var streamTimeout = Duration.seconds(60)
    /// How long a locally closed stream waits for the end of the remote side before it is reset.
    public var streamLinger = Duration.seconds(30)
    /// The interval after which a silent connection is pinged.
    public var keepAliveInterval = Duration.seconds(30)
    /// The deadline of the answer to that ping.
    public var keepAliveTimeout = Duration.seconds(10)
    /// How long a connection without streams is kept. Longer than the ten minutes between two refreshes of a routing
    /// table, which keep used connections alive.
    public var idleTimeout = Duration.seconds(15 * 60)
    /// How long a connection has had no stream before it is closed, if another one in the other direction is kept.
    public var duplicateTime = Duration.seconds(5)
    /// How long a shutdown waits for streams and handlers before it cancels them.
    public var shutdownTimeout = Duration.seconds(5)
    /// Called with each connection that this host has dialled, and the time from the dial to the end of the handshakes.
    public var onDialled: (@Sendable (ConnectionKind, Duration) -> Void)?

    /// - Parameters:
    ///   - listenAddresses: The addresses to listen on; none for a host that only dials.
    ///   - agentVersion: The name and version of this program.
    public init(listenAddresses: [Multiaddr], agentVersion: String) {
        self.listenAddresses = listenAddresses
        self.agentVersion = agentVersion
    }
}
