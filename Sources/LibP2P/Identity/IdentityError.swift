/// An error from reading, storing or using a key.
public enum IdentityError: Error, Hashable, Sendable {
    /// The bytes are not a serialised public key.
    case malformedPublicKey(reason: String)
    /// The library cannot verify signatures of this type of key.
    case unsupportedKeyType(PublicKey.KeyType)
    /// The text is not a private key in PKCS#8 PEM.
    case malformedPrivateKey(reason: String)
    /// The private key is not an Ed25519 key; its algorithm is this object identifier.
    case unexpectedAlgorithm(String)
    /// A file operation failed.
    case file(path: String, operation: String, reason: String)
    /// The file holds no usable key.
    indirect case unusableKeyFile(path: String, cause: IdentityError)
}

extension IdentityError: CustomStringConvertible {
    /// One line with what was expected and what was found.
    public var description: String {
        switch self {
        case .malformedPublicKey(let reason):
            "malformed public key: \(reason)"
        case .unsupportedKeyType(let type):
            "unsupported key type \(type), expected Ed25519, ECDSA or RSA"
        case .malformedPrivateKey(let reason):
            "expected a PKCS#8 private key in PEM: \(reason)"
        case .unexpectedAlgorithm(let identifier):
            "expected an Ed25519 private key (\(PrivateKeyDER.ed25519Name)), found algorithm \(identifier)"
        case .file(let path, let operation, let reason):
            "cannot \(operation) \(path): \(reason)"
        case .unusableKeyFile(let path, let cause):
            "\(path): \(cause). Restore the file, or remove it to create a new identity"
        }
    }
}
