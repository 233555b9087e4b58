public import Swarm

/// The nodes of a simulated crowd, what they pull, and what goes wrong.
public struct SwarmSettings: Sendable {
    /// The members of the crowd.
    public var nodes = 10
    /// Nodes that have everything from the start and are no members.
    public var holders = 1
    /// The sizes of the layers that each node pulls at the same time.
    public var layers: [Int64] = [100_000_000]
    /// The downlink of each node in bytes per second.
    public var downlink = 25e6
    /// The uplink, as a multiple of the downlink.
    public var uplinkRatio = 1.0
    /// The spread of the links: 0.5 for factors between 0.5 and 1.5, equally likely.
    public var spread = 0.0
    /// The share of nodes whose links are slower by ``stragglerFactor``.
    public var stragglers = 0.0
    /// How many times slower these are.
    public var stragglerFactor = 10.0
    /// The share of nodes that vanish in a minute.
    public var vanishing = 0.0
    /// The rate of the upstream registry in bytes per second, for all together.
    public var upstream = 25e6
    /// The time in which the members join, in seconds.
    public var joinWindow = 0.01
    /// The number of zones. Each node is in one; 0 for none.
    public var zones = 0
    /// Whether the first coordinator vanishes after this time, in seconds.
    public var coordinatorDies: Double?
    /// Whether the first holder, or the first leader, vanishes after this time, in seconds.
    public var sourceDies: Double?
    /// Whether the upstream registry refuses the first node that asks.
    public var refusesFirst = false
    /// The bytes that a source must have got in full before it hands on the first of them, as one that relays.
    public var relayHop: Int64 = 256 << 10
    /// The same for what containerd fetches from upstream by itself.
    public var ingestHop: Int64 = 1 << 20
    /// The policy of the coordinators.
    public var policy = CrowdPolicy()
    /// The step of the model in milliseconds.
    public var step = 5
    /// The time after which a run ends, in seconds.
    public var limit = 600.0

    /// One holder, ten nodes, 100 MB, links of 200 Mbit/s.
    public init() {}
}

/// What a simulated crowd took.
public struct SwarmFigures: Sendable {
    /// The time of each member that stayed until it had all layers, in units of one copy over a link of 200 Mbit/s.
    public var times = Distribution()
    /// The same in units of each member's own floor: one copy over its own downlink.
    public var ownTimes = Distribution()
    /// The own times of those that are not stragglers.
    public var fastTimes = Distribution()
    /// Members that stayed and have not finished.
    public var unfinished = 0
    /// Copies of all layers that came from upstream.
    public var upstreamCopies = 0.0
    /// Messages sent and received by a member for one layer.
    public var messages = Distribution()
    /// The bytes that crossed the border of a zone, in copies of the content for each zone.
    public var borderCopies = 0.0
    /// The longest time without a byte of a member that stayed, in seconds.
    public var longestGap = 0.0
    /// The processor's time of all coordinators, in seconds. The only figure that depends on the machine.
    public var coordinatorSeconds = 0.0
    /// The messages that the busiest coordinator handled.
    public var coordinatorMessages = 0
}
