import TestSupport
import Testing

@testable import Multiformats

/// Runs `body` with a freshly seeded generator. `body` attaches the comment with the seed to each expectation.
func withSeededGenerator(_ body: (inout SeededGenerator, Comment) throws -> Void) throws {
    let seed = UInt64.random(in: .min ... .max)
    var generator = SeededGenerator(seed: seed)
    try body(&generator, Comment(rawValue: "seed \(seed)"))
}

func bytes(hex: String) -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = Substring(hex)
    while let byte = UInt8(rest.prefix(2), radix: 16) {
        bytes.append(byte)
        rest = rest.dropFirst(2)
    }
    return bytes
}

func hex(_ bytes: some Sequence<UInt8>) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

extension PeerID {
    /// The id as a CIDv1 with the codec `libp2p-key`.
    var cid: CID {
        get throws { try CID(bytes: [1, 0x72] + bytes) }
    }
}

extension Base36 {
    static func encode(_ bytes: some Collection<UInt8>) throws -> String {
        try PositionalBase(name: "base36", alphabet: "0123456789abcdefghijklmnopqrstuvwxyz").encode(bytes)
    }
}
