import Multiformats

@testable import Kademlia

/// A seeded generator (SplitMix64), so that a failure can be repeated.
struct SeededGenerator: RandomNumberGenerator {
    let seed: UInt64
    private var state: UInt64

    init(seed: UInt64 = .random(in: .min ... .max)) {
        self.seed = seed
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &self) }
    }
}

/// The peer of a number: always the same id, and an address of its own.
func testPeer(_ number: Int) throws -> PeerInfo {
    let bytes = (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
    let id = try PeerID(bytes: [0x12, 0x20] + bytes + [UInt8](repeating: 7, count: 28))
    return PeerInfo(id: id, addresses: [try testAddress(number)])
}

func testAddress(_ number: Int) throws -> Multiaddr {
    try Multiaddr("/ip4/10.\(number >> 16 & 255).\(number >> 8 & 255).\(number & 255)/tcp/5001")
}

func position(of peer: PeerInfo) -> KeySpacePosition {
    KeySpacePosition(hashing: peer.id.bytes)
}

/// The peers closest to a position, by sorting them all.
func trulyClosest(_ count: Int, of peers: [PeerInfo], to target: KeySpacePosition) -> [PeerInfo] {
    Array(peers.sorted { position(of: $0).distance(to: target) < position(of: $1).distance(to: target) }.prefix(count))
}

extension MonotonicTime {
    static func seconds(_ seconds: Int) -> MonotonicTime { .zero + .seconds(seconds) }
}
