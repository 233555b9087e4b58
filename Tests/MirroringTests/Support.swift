import Mirroring
import OCI
import TestSupport
import Testing

/// The digest of a number.
func testDigest(_ number: Int) throws -> Digest {
    let bytes = (0..<32).map { UInt8(truncatingIfNeeded: number >> ($0 * 8 % 64)) }
    return try #require(Digest(algorithm: .sha256, bytes: bytes))
}

/// Peers with these ids, each at an address of its own.
func testPeers(_ ids: [String]) -> [Peer] {
    ids.enumerated().map { Peer(id: $1, addresses: [PeerAddress(ip: "192.0.2.\($0)", port: 5000)]) }
}
