/// What a crowd has in common: the SHA-256 digest of the content that its members need.
public struct CrowdKey: Hashable, Sendable {
    /// The 32 bytes of the digest.
    public let bytes: [UInt8]

    /// The key of content with this digest; `nil` unless it has 32 bytes.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == Self.length else { return nil }
        self.bytes = Array(bytes)
    }

    /// The length of a key in bytes.
    public static let length = 32
}
