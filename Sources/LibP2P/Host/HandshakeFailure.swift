import NIOCore
internal import NIOSSL

extension HandshakeFailure {
    /// - Parameters:
    ///   - error: The error that ended the handshake.
    ///   - security: The negotiated security protocol, if any.
    init(_ error: any Error, security: SecurityProtocol?) {
        switch error {
        case let error as HostError: self.init(error)
        case is MultistreamError: self = .negotiation
        case let error as NoiseError: self.init(error)
        case let error as TLSError:
            if case .localFailure = error { self = .tls } else { self = .identity }
        // The library shows the alert of the other side in the text of the error alone.
        case is NIOSSLError, is BoringSSLError, is NIOSSLExtraError:
            self = String(describing: error).contains("_ALERT_") ? .aborted : .tls
        case is IOError, is ChannelError: self = .closed
        default: self = .other
        }
    }

    private init(_ error: HostError) {
        switch error {
        case .handshakeTimeout: self = .timeout
        case .closedDuringHandshake: self = .closed
        case .unexpectedPeer: self = .unexpectedPeer
        case .selfDial: self = .selfDial
        case .sharedIdentity: self = .sharedIdentity
        case .tooManyConnections: self = .limit
        case .cannotListen, .unsupportedAddress, .dialFailed, .noAddresses, .connectionClosed, .notRunning:
            self = .other
        }
    }

    private init(_ error: NoiseError) {
        switch error {
        case .unusableIdentity, .invalidSignature, .malformedPayload: self = .identity
        case .unprovenMembership: self = .membership
        case .unexpectedPeer: self = .unexpectedPeer
        case .connectionClosed: self = .closed
        case .messageTooShort, .messageTooLong, .authenticationFailed, .invalidKey, .nonceExhausted, .outOfTurn,
            .localKeyFailure, .tooMuchBuffered, .failedBefore:
            self = .noise
        }
    }
}
