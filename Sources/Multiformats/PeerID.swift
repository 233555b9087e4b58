/// The identity of a libp2p node: a multihash of its public key (libp2p/specs, peer-ids).
///
/// A serialised key of at most 42 bytes (Ed25519, secp256k1) is its own "hash", so the id contains the key.
public struct PeerID: Hashable, Sendable {
    /// The maximum length of a serialised key that the id contains. Longer keys are hashed.
    public static let maximumInlineKeyLength = 42

    /// The multihash, 3 to 44 bytes.
    public let bytes: [UInt8]

    /// Parses a multihash, which must be identity with 1 to 42 bytes, or sha2-256.
    ///
    /// - Throws: ``MultiformatsError``.
    public init(bytes: some Collection<UInt8>) throws(MultiformatsError) {
        try self.init(multihash: Multihash(bytes: bytes))
    }

    /// The id of the node whose public key is serialised as `publicKeyProtobuf` (see libp2p/specs, peer-ids).
    public init(publicKeyProtobuf key: [UInt8]) {
        let isInline = key.count <= Self.maximumInlineKeyLength
        let hash = isInline ? Multihash(unchecked: .identity, digest: key) : Multihash.sha2_256(of: key)
        self.bytes = hash.bytes
    }

    /// Parses the text form: base58btc of the multihash (`12D3Koo…`, `Qm…`), or a CIDv1 with the codec `libp2p-key`
    /// in base32 (`b…`), base36 (`k…`) or base58btc (`z…`).
    ///
    /// - Throws: ``MultiformatsError``.
    public init(_ text: some StringProtocol) throws(MultiformatsError) {
        // Every accepted base58btc multihash starts with one of these, and no multibase in use does.
        if text.hasPrefix("1") || text.hasPrefix("Qm") {
            try self.init(bytes: Base58.decode(text))
            return
        }
        let cid = try CID(text)
        guard cid.codec == .libp2pKey else {
            throw .unexpectedCodec(expected: CID.Codec.libp2pKey.rawValue, actual: cid.codec.rawValue)
        }
        try self.init(multihash: cid.multihash)
    }

    private init(multihash: Multihash) throws(MultiformatsError) {
        let length = multihash.digest.count
        switch multihash.code {
        case .identity where (1...Self.maximumInlineKeyLength).contains(length): break
        case .sha2_256: break
        default: throw .unsuitablePeerIDHash(code: multihash.code.rawValue, length: length)
        }
        self.bytes = multihash.bytes
    }
}

extension PeerID: Comparable {
    /// Orders ids by their bytes.
    public static func < (left: PeerID, right: PeerID) -> Bool {
        left.bytes.lexicographicallyPrecedes(right.bytes)
    }
}

extension PeerID: CustomStringConvertible {
    /// Base58btc of the multihash: `12D3Koo…`, `Qm…`.
    public var description: String {
        // 44 bytes at most, within the bounds of the encoding.
        (try? Base58.encode(bytes)) ?? ""
    }
}
