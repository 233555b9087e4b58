import Crypto
internal import FoundationEssentials
import Multiformats

/// The Ed25519 key that a node proves its identity with.
public struct KeyPair: Sendable {
    private static let beginLine = "-----BEGIN PRIVATE KEY-----"
    private static let endLine = "-----END PRIVATE KEY-----"
    /// Far above the 119 characters of the one key that is accepted, so that others can be named.
    static let maximumPEMLength = 16 * 1024

    private let key: Curve25519.Signing.PrivateKey
    /// The public half.
    public let publicKey: PublicKey

    /// A new key.
    public init() {
        self.init(Curve25519.Signing.PrivateKey())
    }

    private init(_ key: Curve25519.Signing.PrivateKey) {
        self.key = key
        self.publicKey = PublicKey(ed25519: key.publicKey)
    }

    /// The key of a 32-byte seed (RFC 8032, section 5.1.5).
    ///
    /// - Throws: ``IdentityError/malformedPrivateKey(reason:)`` for another length.
    public init(seed: [UInt8]) throws(IdentityError) {
        guard let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: seed) else {
            throw .malformedPrivateKey(reason: "seed of \(seed.count) bytes, expected \(PrivateKeyDER.keyLength)")
        }
        self.init(key)
    }

    /// The id of the node that has this key.
    public var peerID: PeerID { publicKey.peerID }

    /// The Ed25519 signature of `message`, 64 bytes.
    ///
    /// - Throws: what the cryptographic library throws when it cannot sign, which has no regular cause.
    public func sign(_ message: [UInt8]) throws -> [UInt8] {
        Array(try key.signature(for: message))
    }

    /// The private key as PKCS#8 in PEM, with a line end at the end.
    public var pem: String {
        let der = PrivateKeyDER.encode(key: Array(key.rawRepresentation))
        return "\(Self.beginLine)\n\(Data(der).base64EncodedString())\n\(Self.endLine)\n"
    }

    /// Reads PKCS#8 in PEM: one `PRIVATE KEY` block with nothing but white space around it.
    ///
    /// - Throws: ``IdentityError/malformedPrivateKey(reason:)`` or ``IdentityError/unexpectedAlgorithm(_:)``.
    public init(pem: String) throws(IdentityError) {
        guard pem.utf8.count <= Self.maximumPEMLength else {
            throw .malformedPrivateKey(reason: "longer than \(Self.maximumPEMLength) bytes")
        }
        var lines = pem.split(whereSeparator: \.isNewline).map { String($0.trimming(while: \.isWhitespace)) }
            .filter { !$0.isEmpty }
        guard let first = lines.first else { throw .malformedPrivateKey(reason: "empty") }
        guard first == Self.beginLine else {
            // Anything but a heading may be the secret itself, which has no place in an error.
            let found = first.hasPrefix("-----BEGIN ") ? "\"\(first.prefix(40))\"" : "something else"
            throw .malformedPrivateKey(reason: "begins with \(found), expected \"\(Self.beginLine)\"")
        }
        guard lines.popLast() == Self.endLine else {
            throw .malformedPrivateKey(reason: "does not end in \"\(Self.endLine)\"")
        }
        guard let der = Data(base64Encoded: lines.dropFirst().joined()) else {
            throw .malformedPrivateKey(reason: "the block is not base64")
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
    /// The peer id: the private half does not belong into a log.
    public var description: String { "KeyPair(\(peerID))" }
}

extension KeyPair: CustomReflectable {
    /// Only the public half.
    public var customMirror: Mirror { Mirror(self, children: ["publicKey": publicKey]) }
}
