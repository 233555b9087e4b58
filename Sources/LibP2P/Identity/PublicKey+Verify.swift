import Crypto
internal import CryptoExtras
internal import FoundationEssentials

extension PublicKey {
    /// Whether `signature` of `message` was made with the private half of this key.
    ///
    /// Ed25519 (RFC 8032); ECDSA with SHA-256 on P-256, P-384 and P-521 with signatures in DER; RSA of 2048 bits or
    /// more with SHA-256 and the padding of PKCS#1 v1.5.
    ///
    /// - Throws: ``IdentityError/unsupportedKeyType(_:)`` for secp256k1, which the cryptographic library lacks;
    ///   ``IdentityError/malformedPublicKey(reason:)`` if the data is no key. A malformed signature is merely invalid.
    public func verify(signature: [UInt8], of message: [UInt8]) throws(IdentityError) -> Bool {
        switch type {
        case .ed25519:
            guard let key = try? Curve25519.Signing.PublicKey(rawRepresentation: data) else {
                throw .malformedPublicKey(reason: "expected a point of Ed25519")
            }
            return key.isValidSignature(signature, for: message)
        case .ecdsa:
            return try verifyECDSA(signature, SHA256.hash(data: message))
        case .rsa:
            guard let key = try? _RSA.Signing.PublicKey(derRepresentation: data) else {
                throw .malformedPublicKey(reason: "expected a SubjectPublicKeyInfo of an RSA key of 2048 bits or more")
            }
            let value = _RSA.Signing.RSASignature(rawRepresentation: signature)
            return key.isValidSignature(value, for: SHA256.hash(data: message), padding: .insecurePKCS1v1_5)
        case .secp256k1:
            throw .unsupportedKeyType(type)
        }
    }

    private func verifyECDSA(_ signature: [UInt8], _ digest: SHA256.Digest) throws(IdentityError) -> Bool {
        if let key = try? P256.Signing.PublicKey(derRepresentation: data) {
            guard let value = try? P256.Signing.ECDSASignature(derRepresentation: signature) else { return false }
            return key.isValidSignature(value, for: digest)
        }
        if let key = try? P384.Signing.PublicKey(derRepresentation: data) {
            guard let value = try? P384.Signing.ECDSASignature(derRepresentation: signature) else { return false }
            return key.isValidSignature(value, for: digest)
        }
        if let key = try? P521.Signing.PublicKey(derRepresentation: data) {
            guard let value = try? P521.Signing.ECDSASignature(derRepresentation: signature) else { return false }
            return key.isValidSignature(value, for: digest)
        }
        throw .malformedPublicKey(reason: "expected a SubjectPublicKeyInfo of P-256, P-384 or P-521")
    }
}
