import Multiformats

/// What a ``Host`` listens on, how it presents itself, and its limits.
public struct HostConfiguration: Sendable {
    /// The addresses to listen on: `/ip4|ip6/ADDRESS/tcp/PORT`; port 0 takes a free one.
    public var listenAddresses: [Multiaddr]
    /// The name and version of this program, told by identify.
    public var agentVersion: String
    /// The name and version of the network, told by identify.
    public var protocolVersion = "ipfs/0.1.0"
    /// What identify tells among the protocols beside those that are accepted: facts for whoever knows how to read
    /// them, which others pass over.
    public var announcements: [String] = []

    /// The ways to secure a connection that are offered and accepted, the preferred one first.
    public var securities: [SecurityProtocol] = [.tls, .noise]
    /// Whether the muxer is offered within the security handshake, which saves a round trip.
    var offersEarlyMuxer = true

    /// The most connections in all: established, and those whose handshake goes on.
    public var maxConnections = 1024
    /// How many established connections may stay: when there are more, those that were unused for the longest time are
    /// closed. One with an open stream never is.
    public var connectionHighWaterMark = 512
    /// The most connections with one peer. Two sides that dial each other at once have two; the rest is
    /// room for a peer that reconnects before its old connections are noticed to be dead.
    public var maxConnectionsPerPeer = 8
    /// The most connections of others whose handshake goes on.
    public var maxPendingInboundConnections = 128
    /// The most of them from one IPv4 address or IPv6 /64, loopback aside, so that one machine cannot keep all others
    /// out. Far more than a node needs, which dials once.
    public var maxPendingInboundPerAddress = 32
    /// The most streams that a peer may have open on a connection, handlers that still run included.
    public var maxInboundStreamsPerConnection = 256
    /// The most streams that all peers together may have open.
    public var maxInboundStreams = 4096
    /// How many bytes of a stream a peer may send before they are read. At least 256 KiB, yamux's initial window.
    public var streamReceiveWindow = 256 * 1024
    /// How far that grows for a stream whose reader keeps up with its sender.
    public var maxStreamReceiveWindow = 1024 * 1024
    /// By how many bytes the windows of all streams of a connection together may grow.
    public var maxWindowGrowthPerConnection = 4 * 1024 * 1024
    /// How many received bytes of a connection may wait to be read; beyond, the stream whose bytes come is reset.
    /// As much as the first windows of 64 streams and all growth of windows come to, so that a peer which keeps to its
    /// windows is not cut off.
    public var maxUnreadBytesPerConnection = 20 * 1024 * 1024
    /// How many bytes of all streams of a connection wait to be sent before writers are suspended.
    public var maxQueuedBytesPerConnection = 4 * 1024 * 1024
    /// How many bytes may wait on all connections, to be read or to be sent; beyond, streams that add to it are reset.
    public var maxBufferedBytes = 64 * 1024 * 1024
    /// How many bytes of a stream wait to be sent before a writer is suspended.
    public var streamSendQueue = 64 * 1024
    /// The most addresses of a peer that one dial tries.
    public var maxDialAddresses = 8

    /// The time for a dial: TCP, security and muxer handshakes of one address.
    public var dialTimeout = Duration.seconds(5)
    /// How long a dial waits before it tries the next address beside the previous one; it does not wait when that fails.
    public var dialStagger = Duration.milliseconds(150)
    /// The time for the handshakes on an accepted connection.
    public var acceptTimeout = Duration.seconds(15)
    /// The time for the negotiation of a stream's protocol.
    public var streamNegotiationTimeout = Duration.seconds(10)
    /// The longest wait of a read or write that is given no time-out of its own.
    public var streamTimeout = Duration.seconds(60)
    /// How long a stream that was closed here waits for the end of the other side before it is reset.
    public var streamLinger = Duration.seconds(30)
    /// How often a connection on which nothing comes in is asked whether it lives.
    public var keepAliveInterval = Duration.seconds(30)
    /// The time for the answer, after which the connection is closed.
    public var keepAliveTimeout = Duration.seconds(10)
    /// How long a connection without streams is kept. Longer than the ten minutes between two refreshes of
    /// a routing table, which keep the connections in use alive.
    public var idleTimeout = Duration.seconds(15 * 60)
    /// How long a shutdown waits for streams and handlers to end before it ends them.
    public var shutdownTimeout = Duration.seconds(5)

    /// - Parameters:
    ///   - listenAddresses: The addresses to listen on; none for a host that only dials.
    ///   - agentVersion: The name and version of this program.
    public init(listenAddresses: [Multiaddr], agentVersion: String) {
        self.listenAddresses = listenAddresses
        self.agentVersion = agentVersion
    }
}
