internal import SwiftASN1

/// The libp2p extension of a certificate: the identity key, and its signature of the certificate's key (libp2p/specs,
/// tls/tls.md, "libp2p Public Key Extension").
///
///     SignedKey ::= SEQUENCE { publicKey OCTET STRING, signature OCTET STRING }
package struct TLSSignedKey: Hashable, Sendable {
    /// The extension's object identifier.
    static let identifier: ASN1ObjectIdentifier = [1, 3, 6, 1, 4, 1, 53594, 1, 1]
    private static let signaturePrefix = Array("libp2p-tls-handshake:".utf8)

    /// The identity key in its protobuf form.
    var publicKey: [UInt8]
    /// The signature over ``signedBytes(subjectPublicKeyInfo:)``.
    var signature: [UInt8]

    package init(publicKey: [UInt8], signature: [UInt8]) {
        self.publicKey = publicKey
        self.signature = signature
    }

    /// The bytes that an identity key signs to certify a certificate's key, which is given in DER.
    static func signedBytes(subjectPublicKeyInfo: some Collection<UInt8>) -> [UInt8] {
        signaturePrefix + subjectPublicKeyInfo
    }

    /// Parses the extension's value.
    package init(der: ArraySlice<UInt8>) throws(TLSError) {
        do {
            self = try DER.sequence(try DER.parse(der), identifier: .sequence) { nodes in
                let publicKey = try ASN1OctetString(derEncoded: &nodes)
                let signature = try ASN1OctetString(derEncoded: &nodes)
                return TLSSignedKey(publicKey: Array(publicKey.bytes), signature: Array(signature.bytes))
            }
        } catch {
            throw .malformedExtension(reason: "expected a sequence of two octet strings")
        }
    }

    /// The extension's value.
    package func serialized() throws -> [UInt8] {
        var serializer = DER.Serializer()
        try serializer.appendConstructedNode(identifier: .sequence) { sequence in
            try sequence.serialize(ASN1OctetString(contentBytes: publicKey[...]))
            try sequence.serialize(ASN1OctetString(contentBytes: signature[...]))
        }
        return serializer.serializedBytes
    }
}
