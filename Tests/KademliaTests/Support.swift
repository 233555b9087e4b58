import Multiformats
import Time

@testable import Kademlia

/// A peer by its number, always with the same id and address.
func testPeer(_ number: Int) throws -> PeerInfo {
    let bytes = (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
    let id = try PeerID(bytes: [0x12, 0x20] + bytes + [UInt8](repeating: 7, count: 28))
    return PeerInfo(id: id, addresses: [try testAddress(number)])
}

func testAddress(_ number: Int) throws -> Multiaddr {
    try Multiaddr("/ip4/10.\(number >> 16 & 255).\(number >> 8 & 255).\(number & 255)/tcp/5001")
}

/// An idle machine with a number of peers in its table.
func testMachine(
    knowing count: Int = 0,
    _ change: (inout KademliaConfiguration) -> Void = { _ in }
) throws -> KademliaMachine {
    var configuration = KademliaConfiguration()
    change(&configuration)
    let peer = try testPeer(0)
    var machine = KademliaMachine(localPeer: peer.id, configuration: configuration, seed: 1, now: .zero)
    machine.setLocalAddresses(peer.addresses, now: .zero)
    for number in stride(from: 1, through: count, by: 1) { machine.met(try testPeer(number), now: .zero) }
    while machine.nextAction() != nil {}
    return machine
}

func position(of peer: PeerInfo) -> KeySpacePosition {
    KeySpacePosition(hashing: peer.id.bytes)
}

/// The peers closest to a position, found by sorting.
func trulyClosest(_ count: Int, of peers: [PeerInfo], to target: KeySpacePosition) -> [PeerInfo] {
    Array(peers.sorted { position(of: $0).distance(to: target) < position(of: $1).distance(to: target) }.prefix(count))
}

extension KademliaMachine {
    var activeSearchCount: Int { searches.count }

    var activeOperationCount: Int { operations.count }
}

extension MonotonicTime {
    static func seconds(_ seconds: Int) -> MonotonicTime { .zero + .seconds(seconds) }
}
