import Multiformats

/// An error from listening, dialling or opening a stream.
public enum HostError: Error, Sendable, CustomStringConvertible {
    /// A listen address could not be bound.
    case cannotListen(Multiaddr, reason: String)
    /// The host cannot listen on or dial such an address; it needs IP or DNS, and TCP.
    case unsupportedAddress(Multiaddr)
    /// All dials to a peer's addresses failed.
    case dialFailed(PeerID, attempts: [(address: Multiaddr, reason: String)])
    /// The peer is not connected and has no known address.
    case noAddresses(PeerID)
    /// Another peer than the expected one answered.
    case unexpectedPeer(expected: PeerID, found: PeerID)
    /// The address belongs to this host itself.
    case selfDial
    /// Another node has the identity of this host.
    case sharedIdentity
    /// The handshake timed out.
    case handshakeTimeout(Duration)
    /// The connection closed during the handshake.
    case closedDuringHandshake
    /// The limit of connections is reached.
    case tooManyConnections(limit: Int)
    /// The connection was closed.
    case connectionClosed(reason: String)
    /// The host is not started, or was shut down.
    case notRunning

    /// What was expected and what was found.
    public var description: String {
        switch self {
        case .cannotListen(let address, let reason): "cannot listen on \(address): \(reason)"
        case .unsupportedAddress(let address):
            "expected an address like /ip4/192.0.2.1/tcp/5001 or /dns4/example.org/tcp/5001, found \(address)"
        case .dialFailed(let peer, let attempts):
            "cannot reach peer \(peer): "
                + attempts.map { "\($0.address): \($0.reason)" }.joined(separator: "; ")
        case .noAddresses(let peer): "no known address of peer \(peer)"
        case .unexpectedPeer(let expected, let found): "expected peer \(expected), found \(found)"
        case .selfDial: "address belongs to this node itself"
        case .sharedIdentity: "another node has the same identity"
        case .handshakeTimeout(let timeout): "handshake timed out after \(timeout)"
        case .closedDuringHandshake: "peer closed the connection during the handshake"
        case .tooManyConnections(let limit): "connection limit of \(limit) reached"
        case .connectionClosed(let reason): "connection closed: \(reason)"
        case .notRunning: "host not running"
        }
    }
}

/// An error on a ``MuxedStream``.
public enum StreamError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Either side reset the stream.
    case reset
    /// The stream was closed locally.
    case closed
    /// The underlying connection was closed.
    case connectionClosed(reason: String)
    /// The operation timed out.
    case timeout(Duration)
    /// A second read while another one waits.
    case concurrentRead
    /// The host has reached its limit of buffered bytes.
    case overMemory
    /// The stream ended inside a message.
    case unexpectedEnd
    /// The length prefix of a message is malformed or above the reader's limit.
    case invalidMessage(reason: String)

    /// What was expected and what was found.
    public var description: String {
        switch self {
        case .reset: "stream reset"
        case .closed: "stream closed locally"
        case .connectionClosed(let reason): "connection of the stream closed: \(reason)"
        case .timeout(let timeout): "stream timed out after \(timeout)"
        case .concurrentRead: "concurrent read of the stream"
        case .overMemory: "limit of unsent and unread bytes reached"
        case .unexpectedEnd: "stream ended inside a message"
        case .invalidMessage(let reason): reason
        }
    }
}
