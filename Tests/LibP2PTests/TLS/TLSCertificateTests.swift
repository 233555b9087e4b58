import Crypto
import FoundationEssentials
import Multiformats
import SwiftASN1
import TestSupport
import Testing
import X509

@testable import LibP2P

@Suite struct TLSCertificateTests {
    private let now = 1_700_000_000.0

    @Test(arguments: [
        (TLSVectors.ed25519, "12D3KooWM6CgA9iBFZmcYAHA6A2qvbAxqfkmrYiRQuz3XEsk4Ksv"),
        (TLSVectors.ecdsa, "QmfXbAwNjJLXfesgztEHe8HwgVDCMMpZ9Eax1HYq6hn9uE"),
    ])
    func specificationVectorsProveTheirPeers(certificate: String, peer: String) throws {
        let key = try TLSCertificate.identity(provenBy: [UInt8](hex: certificate), now: now)
        #expect(key.peerID.description == peer)
    }

    @Test func rejectsSpecificationVectorWithWrongSignature() {
        #expect(throws: TLSError.invalidSignature) {
            try TLSCertificate.identity(provenBy: [UInt8](hex: TLSVectors.forged), now: now)
        }
    }

    @Test func errorNamesSecp256k1() {
        let error = #expect(throws: TLSError.unusableIdentity(.unsupportedKeyType(.secp256k1))) {
            try TLSCertificate.identity(provenBy: [UInt8](hex: TLSVectors.secp256k1), now: now)
        }
        #expect("\(error.map(String.init(describing:)) ?? "")".contains("secp256k1"))
    }

    @Test func ownCertificatesProveTheirIdentity() throws {
        let identity = KeyPair()
        let certificate = try TLSCertificate(identity: identity)
        #expect(try TLSCertificate.identity(provenBy: certificate.der, now: now) == identity.publicKey)
        // Each has a key of its own.
        #expect(try TLSCertificate(identity: identity).privateKey != certificate.privateKey)
    }

    @Test func rejectsCertificateOutsideValidity() throws {
        let certificate = try TLSCertificate(identity: KeyPair())
        for time in [0, TLSCertificate.validity.lowerBound - 1, TLSCertificate.validity.upperBound + 1, .infinity] {
            #expect(throws: TLSError.outsideValidity) {
                try TLSCertificate.identity(provenBy: certificate.der, now: time)
            }
        }
        for time in [TLSCertificate.validity.lowerBound, TLSCertificate.validity.upperBound] {
            #expect(throws: Never.self) { try TLSCertificate.identity(provenBy: certificate.der, now: time) }
        }
    }

    @Test func rejectsEveryChangedByte() throws {
        let original = [UInt8](hex: TLSVectors.ed25519)
        for index in original.indices {
            var changed = original
            changed[index] ^= 0x01
            #expect(throws: TLSError.self, "byte \(index)") {
                try TLSCertificate.identity(provenBy: changed, now: now)
            }
        }
    }

    @Test func rejectsEveryTruncation() throws {
        let original = [UInt8](hex: TLSVectors.ecdsa)
        for count in original.indices {
            #expect(throws: TLSError.self) {
                try TLSCertificate.identity(provenBy: Array(original.prefix(count)), now: now)
            }
        }
        #expect(throws: TLSError.self) { try TLSCertificate.identity(provenBy: original + [0], now: now) }
        #expect(throws: TLSError.self) {
            try TLSCertificate.identity(provenBy: [UInt8](repeating: 0x30, count: 16 * 1024 + 1), now: now)
        }
    }

    @Test func neverTrapsOnRandomChanges() throws {
        let seed = UInt64.random(in: .min ... .max)
        var generator = SeededGenerator(seed: seed)
        let vectors = [TLSVectors.ed25519, TLSVectors.ecdsa, TLSVectors.secp256k1].map { [UInt8](hex: $0) }
        for round in 0..<3000 {
            var bytes = vectors[round % vectors.count]
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let index = Int.random(in: bytes.indices, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: bytes[index] = UInt8.random(in: .min ... .max, using: &generator)
                case 1: bytes.remove(at: index)
                default: bytes.insert(UInt8.random(in: .min ... .max, using: &generator), at: index)
                }
            }
            guard !vectors.contains(bytes) else { continue }
            #expect(throws: TLSError.self, "seed \(seed), round \(round)") {
                try TLSCertificate.identity(provenBy: bytes, now: now)
            }
        }
    }

    // MARK: Certificates that no node creates

    /// A certificate with the given extensions, signed by `issuer`, or with its own key.
    private func certificate(
        key: P256.Signing.PrivateKey,
        issuer: P256.Signing.PrivateKey? = nil,
        _ extensions: [Certificate.Extension]
    ) throws -> [UInt8] {
        let name = try DistinguishedName { CommonName("test") }
        let certificate = try Certificate(
            version: .v3,
            serialNumber: Certificate.SerialNumber(),
            publicKey: Certificate.PublicKey(key.publicKey),
            notValidBefore: Date(timeIntervalSince1970: now - 60),
            notValidAfter: Date(timeIntervalSince1970: now + 60),
            issuer: name,
            subject: name,
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try Certificate.Extensions(extensions),
            issuerPrivateKey: Certificate.PrivateKey(issuer ?? key)
        )
        var serializer = DER.Serializer()
        try serializer.serialize(certificate)
        return serializer.serializedBytes
    }

    private func proof(_ identity: KeyPair, _ key: P256.Signing.PrivateKey, critical: Bool = false) throws
        -> Certificate.Extension
    {
        let signed = TLSSignedKey.signedBytes(subjectPublicKeyInfo: key.publicKey.derRepresentation)
        let signedKey = TLSSignedKey(publicKey: identity.publicKey.protobuf, signature: try identity.sign(signed))
        return Certificate.Extension(
            oid: TLSSignedKey.identifier,
            critical: critical,
            value: try signedKey.serialized()[...]
        )
    }

    @Test func checksExtensions() throws {
        let identity = KeyPair()
        let key = P256.Signing.PrivateKey()
        func proven(of extensions: [Certificate.Extension]) throws -> PublicKey {
            try TLSCertificate.identity(provenBy: certificate(key: key, extensions), now: now)
        }
        let proof = try self.proof(identity, key)
        let unknown = Certificate.Extension(oid: [1, 2, 3, 4], critical: false, value: [5, 0])
        #expect(try proven(of: [proof, unknown]) == identity.publicKey)
        #expect(try proven(of: [self.proof(identity, key, critical: true)]) == identity.publicKey)
        #expect(throws: TLSError.unknownCriticalExtension("1.2.3.4")) {
            try proven(of: [proof, Certificate.Extension(oid: [1, 2, 3, 4], critical: true, value: [5, 0])])
        }
        #expect(throws: TLSError.extensionCount(0)) { try proven(of: [unknown]) }
        let value = Array(proof.value)
        for junk: [UInt8] in [[], [0x30], [0x30, 0], Array(value.dropLast()), value + [0], [4, 1, 0]] {
            #expect(throws: TLSError.malformedExtension(reason: "expected a sequence of two octet strings")) {
                try proven(
                    of: [Certificate.Extension(oid: TLSSignedKey.identifier, critical: false, value: junk[...])]
                )
            }
        }
    }

    @Test func rejectsProofsOfOtherKeys() throws {
        let identity = KeyPair()
        let (key, other) = (P256.Signing.PrivateKey(), P256.Signing.PrivateKey())
        #expect(throws: TLSError.invalidSignature) {
            try TLSCertificate.identity(provenBy: certificate(key: key, [proof(identity, other)]), now: now)
        }
        #expect(throws: TLSError.invalidSelfSignature) {
            try TLSCertificate.identity(
                provenBy: certificate(key: key, issuer: other, [proof(identity, key)]),
                now: now
            )
        }
    }
}
