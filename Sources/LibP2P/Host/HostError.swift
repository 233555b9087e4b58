import Multiformats

/// What goes wrong when a ``Host`` listens, dials or opens a stream.
public enum HostError: Error, Sendable, CustomStringConvertible {
    /// A listen address could not be bound.
    case cannotListen(Multiaddr, reason: String)
    /// An address is not one that this host can listen on or dial: IP or DNS, and TCP.
    case unsupportedAddress(Multiaddr)
    /// None of a peer's addresses could be dialled.
    case dialFailed(PeerID, attempts: [(address: Multiaddr, reason: String)])
    /// A peer without addresses, to which there is no connection.
    case noAddresses(PeerID)
    /// The peer that answered is another one than the expected.
    case unexpectedPeer(expected: PeerID, found: PeerID)
    /// The peer that answered, or the one to dial, is this host itself.
    case selfDial
    /// The handshakes took too long.
    case handshakeTimeout(Duration)
    /// The connection ended during the handshakes.
    case closedDuringHandshake
    /// The limit on connections is reached.
    case tooManyConnections(limit: Int)
    /// The connection was closed, for this reason.
    case connectionClosed(reason: String)
    /// The host is not started, or was shut down.
    case notRunning

    /// What was expected and what came, for people.
    public var description: String {
        switch self {
        case .cannotListen(let address, let reason): "cannot listen on \(address): \(reason)"
        case .unsupportedAddress(let address):
            "expected an address like /ip4/192.0.2.1/tcp/5001 or /dns4/example.org/tcp/5001, found \(address)"
        case .dialFailed(let peer, let attempts):
            "cannot reach peer \(peer): "
                + attempts.map { "\($0.address): \($0.reason)" }.joined(separator: "; ")
        case .noAddresses(let peer): "no address of peer \(peer) is known"
        case .unexpectedPeer(let expected, let found): "expected peer \(expected), found \(found)"
        case .selfDial: "the address leads to this node itself"
        case .handshakeTimeout(let timeout): "the handshake did not end within \(timeout)"
        case .closedDuringHandshake: "the peer closed the connection during the handshake"
        case .tooManyConnections(let limit): "the limit of \(limit) connections is reached"
        case .connectionClosed(let reason): "the connection is closed: \(reason)"
        case .notRunning: "the host is not running"
        }
    }
}

/// What goes wrong on a ``MuxedStream``.
public enum StreamError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The remote side, or this one, reset the stream.
    case reset
    /// The stream was closed on this side.
    case closed
    /// The connection below ended.
    case connectionClosed(reason: String)
    /// The wait was longer than allowed.
    case timeout(Duration)
    /// A second read while one waits.
    case concurrentRead
    /// This host holds as many bytes of streams as it may.
    case overMemory
    /// The stream ended within a message.
    case unexpectedEnd
    /// A message whose length prefix is malformed or exceeds the reader's bound.
    case invalidMessage(reason: String)

    /// What was expected and what came, for people.
    public var description: String {
        switch self {
        case .reset: "the stream was reset"
        case .closed: "the stream is closed on this side"
        case .connectionClosed(let reason): "the connection of the stream is closed: \(reason)"
        case .timeout(let timeout): "nothing happened on the stream within \(timeout)"
        case .concurrentRead: "another read of the stream is waiting"
        case .overMemory: "this node holds as many unsent and unread bytes as it may"
        case .unexpectedEnd: "the stream ended within a message"
        case .invalidMessage(let reason): reason
        }
    }
}
