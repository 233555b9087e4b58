internal import Kademlia
internal import Multiformats
import Time

/// What a node does with the messages of others.
public enum Behaviour: String, Sendable, CaseIterable {
    /// What the protocol says.
    case honest
    /// Takes everything and answers nothing.
    case silent = "silence"
    /// Answers every question for providers with peers that provide nothing.
    case falseProviders = "false providers"
    /// Names its accomplices and peers that do not exist as the closest.
    case falsePeers = "false peers"

    /// All but the honest one.
    static let attacks: [Behaviour] = [.falseProviders, .falsePeers, .silent]
}

/// One node of the simulated network: the real state machine, and what surrounds it.
struct SimulatedNode {
    let info: PeerInfo
    let position: KeySpacePosition
    var machine: KademliaMachine
    /// Whether it runs; also while it takes its leave.
    var isUp = true
    var behaviour = Behaviour.honest
    /// Nodes of different sides cannot reach each other while the network is split.
    var side = 0
    /// When the node was started.
    let started: MonotonicTime
    /// Whether it has looked up its neighbourhood, as it does once it knows somebody.
    var hasJoined = false
    /// The first time for which a timer event is in the queue.
    var timer: MonotonicTime?
    /// When everything that the node sends so far has left it.
    var uplinkFree = MonotonicTime.zero
    /// The nodes it has a connection with, and when that was used last. A connection that is being made has a time that
    /// is still to come.
    var connections: [Int32: MonotonicTime] = [:]
    /// The lookups for probes that are under way.
    var searches: [KademliaMachine.SearchID: Int] = [:]
    /// The numbers of the keys it provides.
    var keys: [Int] = []
    var traffic = Traffic()
}

/// What one node has sent.
struct Traffic {
    /// Requests for peers and providers.
    var requests = 0
    /// Answers to those of others.
    var replies = 0
    /// Messages with records, of however many.
    var updates = 0
    /// The records in them.
    var records = 0
    /// Connections that it opened or tried to open.
    var dials = 0
    /// Bytes of all of it, with what surrounds messages on the wire.
    var bytes = 0

    /// Messages of all kinds.
    var messages: Int { requests + replies + updates }
}
