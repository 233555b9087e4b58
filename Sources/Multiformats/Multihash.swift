import Crypto

/// A digest that names its hash function: varint code, varint length, digest (multiformats/multihash).
public struct Multihash: Hashable, Sendable {
    /// The code of a hash function in the multicodec table.
    public struct Code: RawRepresentable, Hashable, Sendable {
        /// The number in the table.
        public var rawValue: UInt64

        /// A hash function by its number.
        public init(rawValue: UInt64) {
            self.rawValue = rawValue
        }

        /// No hash at all: the digest is the data.
        public static let identity = Code(rawValue: 0x00)
        /// SHA-256, 32 bytes.
        public static let sha2_256 = Code(rawValue: 0x12)
    }

    /// The maximum length of a digest in bytes.
    public static let maximumDigestLength = 128

    /// The hash function.
    public let code: Code
    /// The digest, 0 to 128 bytes.
    public let digest: [UInt8]

    /// A multihash of an existing digest.
    ///
    /// - Throws: ``MultiformatsError/lengthOutOfBounds(what:length:limit:)`` for more than 128 bytes, or for a sha2-256
    ///   digest of another length than 32.
    public init(code: Code, digest: some Collection<UInt8>) throws(MultiformatsError) {
        guard digest.count <= Self.maximumDigestLength else {
            throw .lengthOutOfBounds(
                what: "multihash digest",
                length: UInt64(digest.count),
                limit: Self.maximumDigestLength
            )
        }
        guard code != .sha2_256 || digest.count == SHA256.byteCount else {
            throw .lengthOutOfBounds(
                what: "sha2-256 digest",
                length: UInt64(digest.count),
                limit: SHA256.byteCount
            )
        }
        self.code = code
        self.digest = Array(digest)
    }

    /// The SHA-256 multihash of `data`: 34 bytes once serialised.
    public static func sha2_256(of data: some Sequence<UInt8>) -> Multihash {
        Multihash(unchecked: .sha2_256, digest: Array(SHA256.hash(data: Array(data))))
    }

    init(unchecked code: Code, digest: [UInt8]) {
        self.code = code
        self.digest = digest
    }

    /// Parses a multihash that takes up all of `bytes`.
    ///
    /// - Throws: ``MultiformatsError``.
    public init(bytes: some Collection<UInt8>) throws(MultiformatsError) {
        // Anything longer than two varints and a digest is invalid and need not be copied.
        let limit = Self.maximumDigestLength + 2 * Varint.maximumLength
        guard bytes.count <= limit else {
            throw .lengthOutOfBounds(what: "multihash", length: UInt64(bytes.count), limit: limit)
        }
        var reader = ByteReader(Array(bytes)[...])
        let code = Code(rawValue: try reader.readVarint())
        let length = try reader.readVarint()
        guard length <= UInt64(Self.maximumDigestLength) else {
            throw .lengthOutOfBounds(what: "multihash digest", length: length, limit: Self.maximumDigestLength)
        }
        let digest = try reader.read(Int(length), of: "multihash digest")
        guard reader.isAtEnd else { throw .trailingBytes(what: "multihash", count: reader.remaining) }
        try self.init(code: code, digest: digest)
    }

    /// The serialised form.
    public var bytes: [UInt8] {
        var bytes = Varint.encode(code.rawValue)
        Varint.append(UInt64(digest.count), to: &bytes)
        bytes.append(contentsOf: digest)
        return bytes
    }
}
