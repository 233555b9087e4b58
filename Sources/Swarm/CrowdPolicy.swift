/// Who reads from whom in a crowd. This file has every number and every choice; `Crowd` carries them out.
///
/// **Places.** A source serves few members of a crowd at their full rate rather than all at a fraction of it: of two
/// nodes with the same half of the content neither can help the other, of two of which one is ahead, one can. Each source
/// therefore has a number of places, ``placesPerSource(members:size:)``:
/// - one while the crowd is small: a chain. It ends one hop a member later than a single copy, and a hop costs
///   ``hop`` bytes, in which the relay of a source hands on what it gets.
/// - two from the size on where a chain's hops would cost more than ``chainCost`` of the time of a copy: a tree. With
///   uplinks as fast as downlinks it takes twice the time of a copy, but its hops grow with the logarithm of the crowd.
///   With uplinks of twice the downlinks or more it takes about the time of a copy.
///
/// **Which source.** A member gets the free place that is fewest hops away from a complete source, preferably in its own
/// zone. A zone's first member crosses the border, the others follow it; before there is a byte, a member takes the place
/// of a reader from another zone, which then follows it. Sources that fell behind come last. A source
/// must have as much as its reader, and must not get the content through it.
///
/// **Rounds.** The first ``placedAtOnce`` members that join within a round are placed at once. Later ones wait for its
/// end, so that a crowd that comes in one moment gets the shape that fits its size.
///
/// **Overtaking.** A member that has all that its source has is limited by it. If that source falls behind its own source
/// more than ``overtakingLag``, and further with each report, the member takes its place, and the source goes to the end.
/// Whether the first reader of a complete source is the limit cannot be seen from its lag, so the coordinator tries it: it
/// exchanges the first and the second. It tries again only if that made it faster, by ``overtakingGain``.
///
/// **Leaving.** A member that misses its report is dead, and its readers get other places; so are those of a source that
/// a member could not read from. A member that starves behind a source that starves as well stays where it is, so a
/// death moves only the readers of the dead node. A member without a free place waits for ``patience``, then shares one.
///
/// **Leading.** If no node has the content, the first member fetches it from upstream. If the others see nothing of that
/// within ``leaderStart``, the next one does so too. If the source of all others dies, the member that has most leads.
public struct CrowdPolicy: Sendable {
    /// The rule for the number of places of a source.
    public enum Places: Sendable {
        /// One or two, by the size of the crowd.
        case adaptive
        /// A fixed number at each source: 1 is a chain, 2 a tree.
        case fixed(Int)
        /// Any number at complete sources, none at growing ones: a star, as without a swarm.
        case star
    }

    /// The rule for the number of places.
    public var places = Places.adaptive
    /// Whether members may overtake their source.
    public var overtakes = true
    /// The bytes that a source gets before its reader gets the first of them.
    public var hop: Int64 = 256 << 10
    /// The hops of a chain, as a share of the size, from which on a source has two places.
    public var chainCost = 0.2
    /// The crowd up to which the comparison of both shapes decides, whatever ``chainCost`` says.
    public var smallCrowd = 24
    /// The lag from which on a member takes its source's place.
    public var overtakingLag: Int64 = 2 << 20
    /// The gain in rate that an overtaking must bring for another one at the same source.
    public var overtakingGain = 1.15

    /// Creates the default policy.
    public init() {}

    /// How long members wait for others that come in the same moment.
    static let round = Duration.milliseconds(20)
    /// The members that are placed without waiting for the end of a round.
    static let placedAtOnce = 8
    /// The time between two looks at all members.
    static let tick = Duration.milliseconds(100)
    /// How long a lookup for complete providers is awaited.
    static let lookup = Duration.milliseconds(20)
    /// How long a leader may take until others can read from it.
    static let leaderStart = Duration.seconds(1)
    /// How long a member waits for a free place before it shares one.
    static let patience = Duration.milliseconds(1200)
    /// How long a place must have lasted before its rate is judged.
    static let trial = Duration.milliseconds(250)
    /// The share of its source's rate below which one such report suffices.
    static let farBehind = 0.5
    /// The reports in a row in which a source's lag must have grown.
    static let lagging = 2
    /// How much later than announced a report may come.
    static let lateness = Duration.milliseconds(500)

    /// The time after which a report that does not know of a place means that the member never got it.
    static let crossing = Duration.milliseconds(400)
    /// The silence of a source that a member's report must state for the source to be judged, in milliseconds.
    static let starved: UInt32 = 900

    /// The number of places of each source in a crowd with this number of incomplete members.
    func placesPerSource(members: Int, size: Int64) -> Int {
        switch places {
        case .fixed(let count): return max(1, count)
        case .star: return .max
        case .adaptive:
            guard members > 2 else { return 1 }
            // Content below a hop arrives as a whole. Of unknown size, it is taken for a large layer.
            let share = size > 0 ? min(1, Double(hop) / Double(size)) : 1.0 / 128
            let levels = Double(Int.bitWidth - (members + 1).leadingZeroBitCount)
            let chain = 1 + Double(members) * share
            let tree = 2 * (1 + levels * share)
            if members <= smallCrowd { return chain <= tree ? 1 : 2 }
            return chain <= 1 + chainCost ? 1 : 2
        }
    }

    /// The lag from which on a member takes its source's place. Positions are known to a hop, at the time of a report.
    var lag: Int64 { max(overtakingLag, 4 * hop) }

    /// Whether growing content is a source.
    var usesGrowing: Bool {
        if case .star = places { return false }
        return true
    }
}
