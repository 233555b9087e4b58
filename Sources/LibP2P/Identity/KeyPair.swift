import Crypto
internal import FoundationEssentials
import Multiformats

/// The Ed25519 key pair that proves a node's identity.
public struct KeyPair: Sendable {
    private static let beginLine = "-----BEGIN PRIVATE KEY-----"
    private static let endLine = "-----END PRIVATE KEY-----"
    /// Far above the 119 characters of an Ed25519 key, so that errors can name other keys.
    static let maximumPEMLength = 16 * 1024

    private let key: Curve25519.Signing.PrivateKey
    /// The public key.
    public let publicKey: PublicKey

    /// Generates a key pair.
    public init() {
        self.init(Curve25519.Signing.PrivateKey())
    }

    private init(_ key: Curve25519.Signing.PrivateKey) {
        self.key = key
        self.publicKey = PublicKey(ed25519: key.publicKey)
    }

    /// The key pair of a 32-byte seed (RFC 8032, section 5.1.5).
    ///
    /// - Throws: ``IdentityError/malformedPrivateKey(reason:)`` for another length.
    public init(seed: [UInt8]) throws(IdentityError) {
        guard let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: seed) else {
            throw .malformedPrivateKey(
                reason: "expected a seed of \(PrivateKeyDER.keyLength) bytes, found \(seed.count)"
            )
        }
        self.init(key)
    }

    /// The id of the node with this key.
    public var peerID: PeerID { publicKey.peerID }

    /// The Ed25519 signature of `message`, 64 bytes.
    ///
    /// - Throws: the cryptographic library's error, which has no regular cause.
    public func sign(_ message: [UInt8]) throws -> [UInt8] {
        Array(try key.signature(for: message))
    }

    /// The private key as PKCS#8 in PEM, with a final line break.
    public var pem: String {
        let der = PrivateKeyDER.encode(key: Array(key.rawRepresentation))
        return "\(Self.beginLine)\n\(Data(der).base64EncodedString())\n\(Self.endLine)\n"
    }

    /// Parses PKCS#8 in PEM: one `PRIVATE KEY` block with nothing but white space around it.
    ///
    /// - Throws: ``IdentityError/malformedPrivateKey(reason:)`` or ``IdentityError/unexpectedAlgorithm(_:)``.
    public init(pem: String) throws(IdentityError) {
        guard pem.utf8.count <= Self.maximumPEMLength else {
            throw .malformedPrivateKey(reason: "more than \(Self.maximumPEMLength) bytes")
        }
        var lines = pem.split(whereSeparator: \.isNewline).map { String($0.trimming(while: \.isWhitespace)) }
            .filter { !$0.isEmpty }
        guard let first = lines.first else { throw .malformedPrivateKey(reason: "empty") }
        guard first == Self.beginLine else {
            // Any other text may be the secret itself, so the error must not contain it.
            let found = first.hasPrefix("-----BEGIN ") ? "\"\(first.prefix(40))\"" : "other text"
            throw .malformedPrivateKey(reason: "expected \"\(Self.beginLine)\", found \(found)")
        }
        guard lines.popLast() == Self.endLine else {
            throw .malformedPrivateKey(reason: "expected \"\(Self.endLine)\" at the end")
        }
        guard let der = Data(base64Encoded: lines.dropFirst().joined()) else {
            throw .malformedPrivateKey(reason: "expected base64 in the block")
        }
        try self.init(seed: PrivateKeyDER.decode(Array(der)))
    }
}

extension Substring {
    fileprivate func trimming(while isTrimmed: (Character) -> Bool) -> Substring {
        var rest = drop(while: isTrimmed)
        while let last = rest.last, isTrimmed(last) { rest.removeLast() }
        return rest
    }
}

extension KeyPair: CustomStringConvertible {
    /// The peer id. The private key must not appear in a log.
    public var description: String { "KeyPair(\(peerID))" }
}

extension KeyPair: CustomReflectable {
    /// Only the public key.
    public var customMirror: Mirror { Mirror(self, children: ["publicKey": publicKey]) }
}
