import Crypto
internal import FoundationEssentials
import Multiformats

/// A secret that all nodes of a cluster share, as the keys that are derived from it (HKDF, RFC 5869). The secret itself is
/// not kept.
public struct ClusterKey: Equatable, Sendable {
    /// The least number of random bytes.
    public static let minimumLength = 32
    /// The most.
    public static let maximumLength = 512

    /// The pre-shared key of handshakes between routers.
    public let handshake: SymmetricKey
    /// The keys of requests for content and of their answers.
    public let content: ContentKey
    /// A short name of the key, for people who compare two nodes. It tells nothing else of the key.
    public let fingerprint: String

    /// The key for some random bytes; `nil` for too few or too many.
    public init?(secret: [UInt8]) {
        guard (Self.minimumLength...Self.maximumLength).contains(secret.count) else { return nil }
        let root = SymmetricKey(data: secret)
        handshake = Self.derive("handshake", from: root)
        content = ContentKey(root)
        fingerprint = Self.derive("fingerprint", from: root, length: 4).withUnsafeBytes(Hexadecimal.text)
    }

    /// A line for a key file, with random bytes of the system.
    public static func makeLine() -> String {
        SymmetricKey(size: .bits256).withUnsafeBytes { Base64.encode(Array($0)) }
    }

    /// A key for one purpose, which the label names.
    static func derive(_ purpose: String, from root: SymmetricKey, length: Int = 32) -> SymmetricKey {
        HKDF<SHA256>.deriveKey(
            inputKeyMaterial: root,
            salt: [UInt8]("spegel cluster key".utf8),
            info: [UInt8]("spegel 1 \(purpose)".utf8),
            outputByteCount: length
        )
    }
}

/// The keys that are in force.
public struct ClusterKeys: Equatable, Sendable {
    /// The most keys of a file.
    public static let maximumCount = 8

    /// The key that this node uses.
    public let current: ClusterKey
    /// The other keys that it accepts.
    public let others: [ClusterKey]

    /// Keys of which the first is used; `nil` without any.
    public init?(_ keys: [ClusterKey]) {
        guard let first = keys.first else { return nil }
        current = first
        others = Array(keys.dropFirst())
    }

    /// All keys that are accepted, the one in use first.
    public var all: [ClusterKey] { [current] + others }
}
