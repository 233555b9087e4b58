/// A self-describing content identifier: version, codec of the content, multihash (multiformats/cid).
public struct CID: Hashable, Sendable {
    /// The version of a CID.
    public enum Version: UInt64, Sendable {
        /// A bare sha2-256 multihash of dag-pb content, written in base58btc.
        case v0 = 0
        /// Version, codec and multihash, written in a multibase.
        case v1 = 1
    }

    /// The code of a content type in the multicodec table.
    public struct Codec: RawRepresentable, Hashable, Sendable {
        /// The number in the table.
        public var rawValue: UInt64

        /// A codec by its number.
        public init(rawValue: UInt64) {
            self.rawValue = rawValue
        }

        /// The Merkle DAG in protobuf, the only codec of version 0.
        public static let dagPB = Codec(rawValue: 0x70)
        /// A libp2p public key or its hash.
        public static let libp2pKey = Codec(rawValue: 0x72)
    }

    /// The version.
    public let version: Version
    /// The codec of the content.
    public let codec: Codec
    /// The hash of the content.
    public let multihash: Multihash

    /// Parses an identifier that takes up all of `bytes`.
    ///
    /// - Throws: ``MultiformatsError``.
    public init(bytes: some Collection<UInt8>) throws(MultiformatsError) {
        let limit = Multihash.maximumDigestLength + 4 * Varint.maximumLength
        guard bytes.count <= limit else {
            throw .lengthOutOfBounds(what: "CID", length: UInt64(bytes.count), limit: limit)
        }
        if bytes.count == 34, bytes.starts(with: [0x12, 0x20]) {
            self.version = .v0
            self.codec = .dagPB
            self.multihash = try Multihash(bytes: bytes)
            return
        }
        var reader = ByteReader(Array(bytes)[...])
        let version = try reader.readVarint()
        guard version == Version.v1.rawValue else { throw .unsupportedCIDVersion(version) }
        self.version = .v1
        self.codec = Codec(rawValue: try reader.readVarint())
        self.multihash = try Multihash(bytes: try reader.read(reader.remaining, of: "CID"))
    }

    /// Parses the text form: `Qm…` (46 characters, version 0) or a multibase of version 1.
    ///
    /// - Throws: ``MultiformatsError``. Rejects text of more than 512 characters before decoding.
    public init(_ text: some StringProtocol) throws(MultiformatsError) {
        guard text.utf8.count <= 512 else {
            throw .lengthOutOfBounds(what: "CID", length: UInt64(text.utf8.count), limit: 512)
        }
        if text.utf8.count == 46, text.hasPrefix("Qm") {
            try self.init(bytes: Base58.decode(text))
        } else {
            try self.init(bytes: Multibase.decode(text))
            guard version == .v1 else { throw .unsupportedCIDVersion(version.rawValue) }
        }
    }

    /// The serialised form.
    public var bytes: [UInt8] {
        guard version == .v1 else { return multihash.bytes }
        var bytes = Varint.encode(version.rawValue)
        Varint.append(codec.rawValue, to: &bytes)
        bytes.append(contentsOf: multihash.bytes)
        return bytes
    }
}

extension CID: CustomStringConvertible {
    /// Base58btc for version 0, base32 (`b…`) for version 1.
    public var description: String {
        if version == .v0, let text = try? Base58.encode(bytes) { return text }
        return "b" + Base32.encode(bytes)
    }
}
