/// An error of a TLS connection or of a peer's certificate.
public enum TLSError: Error, Hashable, Sendable {
    /// The peer presented this many certificates instead of one.
    case certificateCount(Int)
    /// The certificate is malformed or of an unsupported kind.
    case malformedCertificate(reason: String)
    /// The certificate is not valid at this machine's time.
    case outsideValidity
    /// The certificate is not signed with its own key.
    case invalidSelfSignature
    /// The certificate has an unknown critical extension with this object identifier.
    case unknownCriticalExtension(String)
    /// The certificate does not have exactly one libp2p extension.
    case extensionCount(Int)
    /// The libp2p extension is malformed.
    case malformedExtension(reason: String)
    /// The identity key in the certificate is unusable.
    case unusableIdentity(IdentityError)
    /// The identity key did not sign the certificate's key.
    case invalidSignature
    /// The handshake ended without a verified certificate.
    case noCertificate
    /// The node's own key or certificate is unusable.
    case localFailure(reason: String)
}

extension TLSError: CustomStringConvertible {
    /// One line with what was expected and what was found.
    public var description: String {
        switch self {
        case .certificateCount(let count):
            "tls: expected one certificate of the peer, found \(count)"
        case .malformedCertificate(let reason):
            "tls: malformed certificate of the peer: \(reason)"
        case .outsideValidity:
            "tls: peer's certificate not valid at this time: check the clocks of both machines"
        case .invalidSelfSignature:
            "tls: peer's certificate not signed with its own key"
        case .unknownCriticalExtension(let identifier):
            "tls: unknown critical extension \(identifier) in the peer's certificate"
        case .extensionCount(let count):
            "tls: expected one libp2p extension in the peer's certificate, found \(count)"
        case .malformedExtension(let reason):
            "tls: malformed libp2p extension in the peer's certificate: \(reason)"
        case .unusableIdentity(let error):
            "tls: unusable identity of the peer: \(error)"
        case .invalidSignature:
            "tls: peer's identity key did not sign its certificate's key"
        case .noCertificate:
            "tls: handshake ended without a certificate of the peer"
        case .localFailure(let reason):
            "tls: unusable own certificate: \(reason)"
        }
    }
}
