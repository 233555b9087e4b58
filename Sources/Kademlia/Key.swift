/// The key of content in the DHT, from a digest (`sha256:…`) or a full tag name (`docker.io/library/x:1`).
///
/// On the wire it is a 34-byte multihash, the sha2-256 of the text. Its position is the SHA-256 of those bytes. The
/// value holds both as numbers, so that large sets of keys need no allocation for each.
public struct Key: Hashable, Sendable {
    private let digest: KeySpaceWords

    /// The position in the key space.
    public let position: KeySpacePosition

    /// The key of a digest or of a full tag name.
    public init(_ content: String) {
        self.init(digest: KeySpaceWords(sha256Of: Array(content.utf8)))
    }

    /// Parses a key of this form; `nil` for any other.
    public init?(bytes: [UInt8]) {
        guard bytes.count == 34, bytes.starts(with: [0x12, 0x20]) else { return nil }
        self.init(digest: KeySpaceWords(bytes: bytes.dropFirst(2)))
    }

    /// The key whose text has this SHA-256. Missing bytes are zeros.
    init(digest: some Sequence<UInt8>) {
        self.init(digest: KeySpaceWords(bytes: digest))
    }

    /// The SHA-256 of the text.
    var digestBytes: [UInt8] { digest.bytes }

    private init(digest: KeySpaceWords) {
        self.digest = digest
        position = KeySpacePosition(hashing: Self.multihash(of: digest))
    }

    /// The wire form: `0x12 0x20` and the SHA-256 of the text.
    public var bytes: [UInt8] { Self.multihash(of: digest) }

    private static func multihash(of digest: KeySpaceWords) -> [UInt8] {
        // multiformats: sha2-256 is code 0x12, and its digest has 0x20 bytes.
        [0x12, 0x20] + digest.bytes
    }

    /// Compares the digests, which determine the positions.
    public static func == (left: Key, right: Key) -> Bool {
        left.digest == right.digest
    }

    /// Hashes the digest only.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(digest)
    }
}
