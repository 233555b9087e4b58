import Multiformats

/// An error of a Noise connection.
public enum NoiseError: Error, Hashable, Sendable {
    /// A cleartext message is shorter than its fixed parts.
    case messageTooShort(expected: Int, actual: Int)
    /// A frame is longer than allowed at this point.
    case messageTooLong(limit: Int, actual: Int)
    /// The authentication tag of a message does not match: it was changed, or encrypted with another key.
    case authenticationFailed
    /// A Diffie-Hellman key of the remote is unusable (its shared secret would be zero).
    case invalidKey
    /// All nonces of a direction are used: 2^64 - 1 messages.
    case nonceExhausted
    /// The handshake payload is malformed.
    case malformedPayload(reason: String)
    /// The remote's identity key is unusable.
    case unusableIdentity(IdentityError)
    /// The remote's identity key did not sign its Noise key.
    case invalidSignature
    /// The remote did not prove that it knows a cluster key of this node.
    case unprovenMembership
    /// Another peer than the expected one answered.
    case unexpectedPeer(expected: PeerID, actual: PeerID)
    /// A message was received or requested out of turn.
    case outOfTurn
    /// The node's own key is unusable.
    case localKeyFailure(reason: String)
    /// The connection closed during the handshake.
    case connectionClosed
    /// More bytes were written before the end of the handshake than the buffer holds.
    case tooMuchBuffered(limit: Int)
    /// The connection failed earlier; that error was reported then.
    case failedBefore
}

extension NoiseError: CustomStringConvertible {
    /// One line with what was expected and what was found.
    public var description: String {
        switch self {
        case .messageTooShort(let expected, let actual):
            "noise: expected a message of at least \(expected) bytes, found \(actual)"
        case .messageTooLong(let limit, let actual):
            "noise: expected a message of at most \(limit) bytes, found \(actual)"
        case .authenticationFailed:
            "noise: message failed authentication"
        case .invalidKey:
            "noise: unusable Diffie-Hellman key of the remote"
        case .nonceExhausted:
            "noise: nonces exhausted"
        case .malformedPayload(let reason):
            "noise: malformed handshake payload: \(reason)"
        case .unusableIdentity(let error):
            "noise: unusable identity of the remote: \(error)"
        case .invalidSignature:
            "noise: the remote's identity key did not sign its noise key"
        case .unprovenMembership:
            "noise: expected a node with the same cluster key, found one with another key"
        case .unexpectedPeer(let expected, let actual):
            "noise: expected peer \(expected), found \(actual)"
        case .outOfTurn:
            "noise: handshake message out of turn"
        case .localKeyFailure(let reason):
            "noise: unusable own key: \(reason)"
        case .connectionClosed:
            "noise: connection closed during the handshake"
        case .tooMuchBuffered(let limit):
            "noise: more than \(limit) bytes written before the end of the handshake"
        case .failedBefore:
            "noise: connection failed before"
        }
    }
}
