/// Why a TLS connection could not be made, or a peer's certificate proves no identity.
public enum TLSError: Error, Hashable, Sendable {
    /// The peer showed so many certificates; exactly one is expected.
    case certificateCount(Int)
    /// The bytes are no certificate, or one of a kind that cannot be read; with what is wrong about them.
    case malformedCertificate(reason: String)
    /// The certificate is not yet, or no longer, valid by this machine's clock.
    case outsideValidity
    /// The certificate was not signed with its own key.
    case invalidSelfSignature
    /// The certificate has an extension that must be understood, and is not: its object identifier.
    case unknownCriticalExtension(String)
    /// The certificate has no libp2p extension, or more than one.
    case extensionCount(Int)
    /// The libp2p extension is not what it should be; with what is wrong about it.
    case malformedExtension(reason: String)
    /// The identity key in the certificate cannot be used.
    case unusableIdentity(IdentityError)
    /// The identity key did not sign the certificate's key.
    case invalidSignature
    /// The handshake ended without a certificate that was looked at.
    case noCertificate
    /// Own key material could not be used; with what the library says.
    case localFailure(reason: String)
}

extension TLSError: CustomStringConvertible {
    /// One line that says what was expected and what came.
    public var description: String {
        switch self {
        case .certificateCount(let count):
            "tls: the peer shows \(count) certificates, expected exactly one"
        case .malformedCertificate(let reason):
            "tls: the peer's certificate cannot be read: \(reason)"
        case .outsideValidity:
            "tls: the peer's certificate is not valid at this time; check the clocks of both machines"
        case .invalidSelfSignature:
            "tls: the peer's certificate is not signed with its own key"
        case .unknownCriticalExtension(let identifier):
            "tls: the peer's certificate has the unknown critical extension \(identifier)"
        case .extensionCount(let count):
            "tls: the peer's certificate has \(count) libp2p extensions, expected one"
        case .malformedExtension(let reason):
            "tls: the libp2p extension of the peer's certificate is malformed: \(reason)"
        case .unusableIdentity(let error):
            "tls: the peer's identity: \(error)"
        case .invalidSignature:
            "tls: the peer's identity key did not sign its certificate's key"
        case .noCertificate:
            "tls: the handshake ended without a certificate of the peer"
        case .localFailure(let reason):
            "tls: own certificate cannot be used: \(reason)"
        }
    }
}
