import Crypto
internal import FoundationEssentials
internal import SwiftASN1
internal import X509

/// The self-signed certificate that proves a node's identity (libp2p/specs, tls/tls.md).
package struct TLSCertificate: Sendable {
    /// The maximum length of a certificate in bytes. RSA keys of 8192 bits for both keys take less than 6 KiB.
    static let maximumLength = 16 * 1024
    /// The validity in seconds since 1970: from the start of 2000 to that of 4096. It is wide, because only the keys
    /// matter, and clocks of nodes may be wrong.
    static let validity = 946_684_800.0...67_090_118_400.0

    /// Extensions that may be critical because they do not restrict this use of the certificate: key usage, subject
    /// alternative name, basic constraints, extended key usage.
    private static let harmlessExtensions: Set<ASN1ObjectIdentifier> = [
        [2, 5, 29, 15], [2, 5, 29, 17], [2, 5, 29, 19], [2, 5, 29, 37],
    ]

    /// The certificate in DER.
    package let der: [UInt8]
    /// Its private key in PKCS#8 DER.
    let privateKey: [UInt8]

    /// Creates a certificate with a new P-256 key, signed for `identity`.
    package init(identity: KeyPair) throws(TLSError) {
        do {
            let key = P256.Signing.PrivateKey()
            let signature = try identity.sign(
                TLSSignedKey.signedBytes(subjectPublicKeyInfo: key.publicKey.derRepresentation)
            )
            let signedKey = TLSSignedKey(publicKey: identity.publicKey.protobuf, signature: signature)
            let proof = Certificate.Extension(
                oid: TLSSignedKey.identifier,
                critical: false,
                value: try signedKey.serialized()[...]
            )
            let name = try DistinguishedName { CommonName("libp2p") }
            let certificate = try Certificate(
                version: .v3,
                serialNumber: Certificate.SerialNumber(),
                publicKey: Certificate.PublicKey(key.publicKey),
                notValidBefore: Date(timeIntervalSince1970: Self.validity.lowerBound),
                notValidAfter: Date(timeIntervalSince1970: Self.validity.upperBound),
                issuer: name,
                subject: name,
                signatureAlgorithm: .ecdsaWithSHA256,
                extensions: try Certificate.Extensions { proof },
                issuerPrivateKey: Certificate.PrivateKey(key)
            )
            var serializer = DER.Serializer()
            try serializer.serialize(certificate)
            der = serializer.serializedBytes
            privateKey = Array(key.derRepresentation)
        } catch {
            throw .localFailure(reason: "\(error)")
        }
    }

    /// The identity key that a peer's certificate proves.
    ///
    /// - Parameters:
    ///   - der: The peer's only certificate.
    ///   - now: The time in seconds since 1970.
    package static func identity(provenBy der: [UInt8], now: Double) throws(TLSError) -> PublicKey {
        guard der.count <= maximumLength else {
            throw .malformedCertificate(reason: "expected at most \(maximumLength) bytes, found \(der.count)")
        }
        let certificate: Certificate
        let keyInfo: ArraySlice<UInt8>
        do {
            let root = try DER.parse(der)
            certificate = try Certificate(derEncoded: root)
            keyInfo = try subjectPublicKeyInfo(of: root)
        } catch {
            throw .malformedCertificate(reason: "\(error)")
        }
        let begin = certificate.notValidBefore.timeIntervalSince1970
        let end = certificate.notValidAfter.timeIntervalSince1970
        guard begin <= now, now <= end else { throw .outsideValidity }
        let signedKey = try signedKey(in: certificate)
        guard certificate.publicKey.isValidSignature(certificate.signature, for: certificate) else {
            throw .invalidSelfSignature
        }
        let isValid: Bool
        let key: PublicKey
        do {
            key = try PublicKey(protobuf: signedKey.publicKey)
            isValid = try key.verify(
                signature: signedKey.signature,
                of: TLSSignedKey.signedBytes(subjectPublicKeyInfo: keyInfo)
            )
        } catch {
            throw .unusableIdentity(error)
        }
        guard isValid else { throw .invalidSignature }
        return key
    }

    private static func signedKey(in certificate: Certificate) throws(TLSError) -> TLSSignedKey {
        var found: [TLSSignedKey] = []
        for item in certificate.extensions {
            if item.oid == TLSSignedKey.identifier {
                found.append(try TLSSignedKey(der: item.value))
            } else if item.critical, !harmlessExtensions.contains(item.oid) {
                throw .unknownCriticalExtension("\(item.oid)")
            }
        }
        guard let signedKey = found.first, found.count == 1 else { throw .extensionCount(found.count) }
        return signedKey
    }

    /// The bytes of the certificate's key exactly as encoded in it, since the signature covers these bytes (RFC 5280,
    /// section 4.1): after version, serial number, algorithm, issuer, validity and subject.
    private static func subjectPublicKeyInfo(of certificate: ASN1Node) throws -> ArraySlice<UInt8> {
        guard case .constructed(let parts) = certificate.content, let body = parts.first(where: { _ in true }),
            case .constructed(let fields) = body.content
        else { throw TLSError.malformedCertificate(reason: "expected a sequence") }
        let version = ASN1Identifier(tagWithNumber: 0, tagClass: .contextSpecific)
        let position = fields.first(where: { _ in true })?.identifier == version ? 6 : 5
        guard let field = fields.dropFirst(position).first(where: { _ in true }) else {
            throw TLSError.malformedCertificate(reason: "expected a key")
        }
        return field.encodedBytes
    }
}
