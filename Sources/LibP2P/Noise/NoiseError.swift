import Multiformats

/// Why a Noise connection could not be made or kept up.
public enum NoiseError: Error, Hashable, Sendable {
    /// A message that is not protected was shorter than its fixed parts.
    case messageTooShort(expected: Int, actual: Int)
    /// A frame was longer than what can come at this point.
    case messageTooLong(limit: Int, actual: Int)
    /// A message did not have the authentication tag that it should have: it was changed, or made with another key.
    case authenticationFailed
    /// A Diffie-Hellman key of the other end was unusable (its result would be zero).
    case invalidKey
    /// All nonces of a direction have been used: 2^64 - 1 messages.
    case nonceExhausted
    /// The handshake payload was not what it should be; with what is wrong about it.
    case malformedPayload(reason: String)
    /// The key that the other end showed cannot be used.
    case unusableIdentity(IdentityError)
    /// The signature by the other end's identity key does not cover its Noise key.
    case invalidSignature
    /// Another node answered than the one that was to be reached.
    case unexpectedPeer(expected: PeerID, actual: PeerID)
    /// A message came or was asked for when it was not its turn.
    case outOfTurn
    /// Own key material could not be used; with what the cryptographic library says.
    case localKeyFailure(reason: String)
    /// The connection ended before the handshake did.
    case connectionClosed
    /// More was written before the end of the handshake than is kept for later.
    case tooMuchBuffered(limit: Int)
    /// The connection failed earlier, for a reason that was reported then.
    case failedBefore
}

extension NoiseError: CustomStringConvertible {
    /// One line that says what was expected and what came.
    public var description: String {
        switch self {
        case .messageTooShort(let expected, let actual):
            "noise: message of \(actual) bytes, expected at least \(expected)"
        case .messageTooLong(let limit, let actual):
            "noise: message of \(actual) bytes, at most \(limit) are accepted here"
        case .authenticationFailed:
            "noise: message failed authentication"
        case .invalidKey:
            "noise: the remote's Diffie-Hellman key is unusable"
        case .nonceExhausted:
            "noise: all nonces are used up"
        case .malformedPayload(let reason):
            "noise: malformed handshake payload: \(reason)"
        case .unusableIdentity(let error):
            "noise: the remote's identity: \(error)"
        case .invalidSignature:
            "noise: the remote's identity key did not sign its noise key"
        case .unexpectedPeer(let expected, let actual):
            "noise: expected peer \(expected), but \(actual) answered"
        case .outOfTurn:
            "noise: handshake message out of turn"
        case .localKeyFailure(let reason):
            "noise: own key cannot be used: \(reason)"
        case .connectionClosed:
            "noise: connection closed during the handshake"
        case .tooMuchBuffered(let limit):
            "noise: more than \(limit) bytes written before the end of the handshake"
        case .failedBefore:
            "noise: the connection failed before"
        }
    }
}
