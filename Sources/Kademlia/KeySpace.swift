internal import Crypto

/// A position in the 256-bit key space of keys and peers.
///
/// A key's position is the SHA-256 of its wire bytes, a peer's that of its id (libp2p/specs, kad-dht, "Distance").
public struct KeySpacePosition: Hashable, Sendable {
    let words: KeySpaceWords

    /// The position of a key or a peer id with these wire bytes.
    public init(hashing bytes: [UInt8]) {
        words = KeySpaceWords(sha256Of: bytes)
    }

    init(words: KeySpaceWords) {
        self.words = words
    }

    /// The XOR distance to another position: zero only to itself, symmetric, and one-to-one for a fixed end.
    public func distance(to other: KeySpacePosition) -> KeySpaceDistance {
        KeySpaceDistance(words: words ^ other.words)
    }

    /// The number of common leading bits, 0 to 256.
    public func commonPrefixLength(with other: KeySpacePosition) -> Int {
        distance(to: other).leadingZeroBitCount
    }
}

extension KeySpacePosition: Comparable {
    /// Orders positions as big-endian numbers, so that neighbours share long prefixes.
    public static func < (left: KeySpacePosition, right: KeySpacePosition) -> Bool {
        left.words < right.words
    }
}

/// The XOR of two positions, compared as a big-endian number.
public struct KeySpaceDistance: Hashable, Sendable, Comparable {
    let words: KeySpaceWords

    /// The number of common leading bits of the two positions, 0 to 256.
    public var leadingZeroBitCount: Int { words.leadingZeroBitCount }

    /// Whether the left distance is shorter.
    public static func < (left: KeySpaceDistance, right: KeySpaceDistance) -> Bool {
        left.words < right.words
    }
}

/// 256 bits as four words, the most significant first.
struct KeySpaceWords: Hashable, Sendable, Comparable {
    var first: UInt64
    var second: UInt64
    var third: UInt64
    var fourth: UInt64

    init(_ first: UInt64, _ second: UInt64, _ third: UInt64, _ fourth: UInt64) {
        (self.first, self.second, self.third, self.fourth) = (first, second, third, fourth)
    }

    init(sha256Of bytes: [UInt8]) {
        self = SHA256.hash(data: bytes).withUnsafeBytes { digest in
            // A SHA-256 digest has 32 bytes.
            func word(_ index: Int) -> UInt64 {
                UInt64(bigEndian: digest.loadUnaligned(fromByteOffset: index &* 8, as: UInt64.self))
            }
            return KeySpaceWords(word(0), word(1), word(2), word(3))
        }
    }

    /// Reads up to 32 bytes, big-endian. Missing bytes at the end are zeros.
    init(bytes: some Sequence<UInt8>) {
        self.init(0, 0, 0, 0)
        for (index, byte) in bytes.prefix(32).enumerated() {
            let shifted = UInt64(byte) << UInt64(56 - 8 * (index % 8))
            switch index / 8 {
            case 0: first |= shifted
            case 1: second |= shifted
            case 2: third |= shifted
            default: fourth |= shifted
            }
        }
    }

    /// The 32 bytes, big-endian.
    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(32)
        for word in [first, second, third, fourth] {
            for shift in stride(from: 56, through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(shift)))
            }
        }
        return bytes
    }

    var leadingZeroBitCount: Int {
        if first != 0 { return first.leadingZeroBitCount }
        if second != 0 { return 64 + second.leadingZeroBitCount }
        if third != 0 { return 128 + third.leadingZeroBitCount }
        return 192 + fourth.leadingZeroBitCount
    }

    static func ^ (left: Self, right: Self) -> Self {
        Self(
            left.first ^ right.first,
            left.second ^ right.second,
            left.third ^ right.third,
            left.fourth ^ right.fourth
        )
    }

    static func < (left: Self, right: Self) -> Bool {
        (left.first, left.second, left.third, left.fourth) < (right.first, right.second, right.third, right.fourth)
    }
}
