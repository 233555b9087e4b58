import Multiformats
import Time

@testable import Swarm

/// The id of a node with a number.
func peer(_ number: Int) -> PeerID {
    PeerID(publicKeyProtobuf: [0x08, 0x01, UInt8(truncatingIfNeeded: number), UInt8(truncatingIfNeeded: number >> 8)])
}

/// A key.
let key = CrowdKey(bytes: [UInt8](repeating: 7, count: CrowdKey.length))!

/// A time in milliseconds.
func time(_ milliseconds: Int64) -> MonotonicTime {
    .zero + .milliseconds(milliseconds)
}

func envelope(_ body: SwarmMessage.Body) -> SwarmMessage {
    SwarmMessage(key: key, body: body)
}

extension [SwarmAction] {
    /// The messages to a node.
    func bodies(to number: Int) -> [SwarmMessage.Body] {
        compactMap {
            guard case .send(let message, to: let id) = $0, id == peer(number) else { return nil }
            return message.body
        }
    }

    /// The source that a node gets a place at.
    func source(of number: Int) -> PeerID? {
        for case .place(let place) in bodies(to: number).reversed() { return place.sources.first?.id }
        return nil
    }
}
