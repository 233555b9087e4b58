internal import Kademlia
internal import Multiformats
import Time

/// A node's handling of others' messages.
public enum Behaviour: String, Sendable, CaseIterable {
    /// Follows the protocol.
    case honest
    /// Accepts everything and replies to nothing.
    case silent = "silence"
    /// Replies to each request for providers with peers that provide nothing.
    case falseProviders = "false providers"
    /// Names its accomplices and invented peers as the closest.
    case falsePeers = "false peers"

    /// All dishonest behaviours.
    static let attacks: [Behaviour] = [.falseProviders, .falsePeers, .silent]
}

/// A node of the simulated network: the real state machine and its surroundings.
struct SimulatedNode {
    let info: PeerInfo
    let position: KeySpacePosition
    var machine: KademliaMachine
    /// Whether it runs, including its departure.
    var isUp = true
    var behaviour = Behaviour.honest
    /// The side in a cut network. Nodes of different sides cannot reach each other.
    var side = 0
    /// When the node was started.
    let started: MonotonicTime
    /// Whether it has looked up its neighbourhood, as it does when it knows a peer.
    var hasJoined = false
    /// The time of its next timer event in the queue.
    var timer: MonotonicTime?
    /// When everything that the node has sent so far has left it.
    var uplinkFree = MonotonicTime.zero
    /// The connected nodes with the time of the last use. A connection that is being established has a future time.
    var connections: [Int32: MonotonicTime] = [:]
    /// The searches of probes.
    var searches: [KademliaMachine.SearchID: Int] = [:]
    /// The numbers of its keys.
    var keys: [Int] = []
    var traffic = Traffic()
}

/// The traffic sent by one node.
struct Traffic {
    /// Requests for peers and providers.
    var requests = 0
    /// Replies to requests of others.
    var replies = 0
    /// Messages with any number of records.
    var updates = 0
    /// The records in them.
    var records = 0
    /// Attempts to open a connection.
    var dials = 0
    /// All bytes on the wire, including overhead.
    var bytes = 0

    /// Messages of all kinds.
    var messages: Int { requests + replies + updates }
}
