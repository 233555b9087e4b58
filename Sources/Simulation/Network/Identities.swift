internal import Kademlia
internal import Multiformats

/// The identities of simulated nodes. A node's number is part of its id, so that no table is needed.
struct Identities {
    let seed: UInt64

    /// The first number of an invented peer.
    static let firstInvented = 1 << 30

    /// The peer with a number below 2^31.
    func peer(_ number: Int) -> PeerInfo {
        var digest: [UInt8] = []
        for word in 0..<4 {
            let bits = SimulationRandom.mix(seed &+ UInt64(number) &* 4 &+ UInt64(word) &+ 1)
            digest += (0..<8).map { UInt8(truncatingIfNeeded: bits >> (8 * $0)) }
        }
        digest.replaceSubrange(28..., with: (0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - 8 * $0)) })
        guard let id = try? PeerID(bytes: [0x12, 0x20] + digest) else {
            preconditionFailure("expected 34 bytes of a sha2-256 multihash to be a peer id")
        }
        let host = IPv4Address(rawValue: 0x0A00_0000 | UInt32(truncatingIfNeeded: number) & 0xFF_FFFF)
        return PeerInfo(id: id, addresses: [Multiaddr(ip: .v4(host), tcpPort: 5001)])
    }

    /// The number of a peer.
    static func number(of id: PeerID) -> Int? {
        guard id.bytes.count == 34 else { return nil }
        return id.bytes[30...].reduce(0) { $0 << 8 | Int($1) }
    }
}
