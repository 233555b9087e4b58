/// Why a key could not be read, kept or used.
public enum IdentityError: Error, Hashable, Sendable {
    /// The bytes are not a serialised public key; with what is wrong about them.
    case malformedPublicKey(reason: String)
    /// Signatures of this type of key cannot be verified here.
    case unsupportedKeyType(PublicKey.KeyType)
    /// The text is not a private key in PKCS#8 PEM; with what was expected and what came.
    case malformedPrivateKey(reason: String)
    /// The private key is not an Ed25519 key, but has this algorithm (an object identifier).
    case unexpectedAlgorithm(String)
    /// A file operation failed.
    case file(path: String, operation: String, reason: String)
    /// The file was read, but holds no key that can be used.
    indirect case unusableKeyFile(path: String, cause: IdentityError)
}

extension IdentityError: CustomStringConvertible {
    /// One line that says what was expected and what came.
    public var description: String {
        switch self {
        case .malformedPublicKey(let reason):
            "malformed public key: \(reason)"
        case .unsupportedKeyType(let type):
            "unsupported key type \(type): signatures are verified for Ed25519, ECDSA and RSA keys, "
                + "the cryptographic library has nothing for others"
        case .malformedPrivateKey(let reason):
            "not a PKCS#8 private key in PEM: \(reason)"
        case .unexpectedAlgorithm(let identifier):
            "private key of algorithm \(identifier), expected Ed25519 (\(PrivateKeyDER.ed25519Name))"
        case .file(let path, let operation, let reason):
            "cannot \(operation) \(path): \(reason)"
        case .unusableKeyFile(let path, let cause):
            "\(path): \(cause); restore the file, or remove it to be given a new identity"
        }
    }
}
