import Crypto
internal import FoundationEssentials
import Multiformats
internal import SwiftProtobuf

/// The public key of a node (libp2p/specs, peer-ids).
public struct PublicKey: Hashable, Sendable {
    /// The types of keys.
    public enum KeyType: Int, Sendable {
        /// RSA; the data is a SubjectPublicKeyInfo in DER.
        case rsa = 0
        /// Ed25519; the data is the key's 32 bytes.
        case ed25519 = 1
        /// The curve of Bitcoin; the data is the compressed point, 33 bytes.
        case secp256k1 = 2
        /// ECDSA; the data is a SubjectPublicKeyInfo in DER.
        case ecdsa = 3
    }

    /// The maximum length of a serialised key in bytes: twice that of an RSA key of 8192 bits.
    public static let maximumProtobufLength = 2048

    /// The type of the key.
    public let type: KeyType
    /// The key in the encoding of its type.
    public let data: [UInt8]

    /// An Ed25519 key, whose length the library has checked.
    init(ed25519 key: Curve25519.Signing.PublicKey) {
        type = .ed25519
        data = Array(key.rawRepresentation)
    }

    /// Parses a serialised key. Checks the key itself only as far as its length is fixed.
    ///
    /// - Throws: ``IdentityError/malformedPublicKey(reason:)``.
    public init(protobuf bytes: some Collection<UInt8>) throws(IdentityError) {
        guard bytes.count <= Self.maximumProtobufLength else {
            let limit = Self.maximumProtobufLength
            throw .malformedPublicKey(reason: "expected at most \(limit) bytes, found \(bytes.count)")
        }
        guard let message = try? ProtoPublicKey(serializedBytes: Array(bytes)) else {
            throw .malformedPublicKey(reason: "expected a protobuf with a known type and data")
        }
        switch message.type {
        case .rsa: type = .rsa
        case .ed25519: type = .ed25519
        case .secp256K1: type = .secp256k1
        case .ecdsa: type = .ecdsa
        }
        data = Array(message.data)
        let isSound =
            switch type {
            case .ed25519: data.count == 32
            case .secp256k1: data.count == 33
            case .rsa, .ecdsa: !data.isEmpty
            }
        guard isSound else {
            throw .malformedPublicKey(reason: "unexpected length of \(data.count) bytes for a key of type \(type)")
        }
    }

    /// The serialised key: type and data, each exactly once, so that equal keys have equal bytes.
    public var protobuf: [UInt8] {
        // Both field numbers are below 16, so a tag takes one byte: (number << 3) | wire type.
        var bytes: [UInt8] = [1 << 3 | 0, UInt8(truncatingIfNeeded: type.rawValue), 2 << 3 | 2]
        Varint.append(UInt64(data.count), to: &bytes)
        return bytes + data
    }

    /// The id of the node with this key.
    public var peerID: PeerID {
        PeerID(publicKeyProtobuf: protobuf)
    }
}

extension PublicKey.KeyType: CustomStringConvertible {
    /// The common name of the type.
    public var description: String {
        switch self {
        case .rsa: "RSA"
        case .ed25519: "Ed25519"
        case .secp256k1: "secp256k1"
        case .ecdsa: "ECDSA"
        }
    }
}
