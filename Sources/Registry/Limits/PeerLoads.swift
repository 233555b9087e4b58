import NIOCore
import Routing

/// What this node has seen of the peers that it asks, and which of several holders it asks first for that reason: a
/// value without a clock or randomness of its own.
///
/// Of two holders that are drawn at random the one is taken that is likely to answer sooner: fewer requests under way
/// to it, and a shorter time to its first byte. So none is asked by all at once, however good it is, and none that is
/// slow is asked much. Holders that have failed or were busy a short while ago come last, and those on the same network
/// come first, as long as they are not loaded.
struct PeerLoads {
    /// The most peers that are remembered; those that nothing is under way to give way.
    static let limit = 1024
    /// How long a peer comes last after it has failed, and after it was busy.
    static let failurePenalty = TimeAmount.seconds(30)
    static let busyPenalty = TimeAmount.seconds(2)
    /// With so many requests under way to it a holder on the same network is no better than others.
    static let nearLimit = 8
    /// Differences below are no differences, in nanoseconds.
    private static let shortestTime = 1e6

    private struct Peer {
        var inFlight = 0
        /// The mean time to the first byte, in nanoseconds; `nil` before one was seen.
        var firstByte: Double?
        var penaltyEnds = NIODeadline.uptimeNanoseconds(0)
        var lastUse = NIODeadline.uptimeNanoseconds(0)
    }

    private var peers: [String: Peer] = [:]
    /// The mean of all times, for peers that nothing is known of.
    private var usual = PeerLoads.shortestTime

    /// How many peers are remembered.
    var count: Int { peers.count }

    /// How many requests to a peer are under way.
    func inFlight(_ peerID: String) -> Int { peers[peerID]?.inFlight ?? 0 }

    /// A request to a peer begins.
    mutating func began(_ peerID: String, now: NIODeadline) {
        if peers[peerID] == nil, peers.count >= Self.limit { forget() }
        peers[peerID, default: Peer()].inFlight += 1
        peers[peerID]?.lastUse = now
    }

    /// A request to a peer has ended.
    mutating func ended(_ peerID: String) {
        guard let inFlight = peers[peerID]?.inFlight, inFlight > 0 else { return }
        peers[peerID]?.inFlight = inFlight - 1
    }

    /// A peer has sent the first byte of a body.
    mutating func sentFirstByte(_ peerID: String, after time: TimeAmount) {
        let sample = max(Self.shortestTime, Double(time.nanoseconds))
        usual += (sample - usual) / 16
        guard let known = peers[peerID]?.firstByte else {
            peers[peerID]?.firstByte = sample
            return
        }
        peers[peerID]?.firstByte = known + (sample - known) / 4
    }

    /// A peer has failed, or was only busy.
    mutating func failed(_ peerID: String, wasBusy: Bool, now: NIODeadline) {
        peers[peerID]?.penaltyEnds = now + (wasBusy ? Self.busyPenalty : Self.failurePenalty)
    }

    /// Puts holders into the order in which they are to be asked.
    ///
    /// - Parameter isNear: whether a holder is on the same network.
    func order(
        _ holders: [Provider],
        now: NIODeadline,
        using random: inout some RandomNumberGenerator,
        isNear: (Provider) -> Bool
    ) -> [Provider] {
        guard holders.count > 1 else { return holders }
        var rest = holders.map { (provider: $0, isNear: isNear($0)) }
        var ordered: [Provider] = []
        while !rest.isEmpty {
            let healthy = rest.indices.filter { !isPenalised(rest[$0].provider.peerID, now: now) }
            let choice = healthy.isEmpty ? Array(rest.indices) : healthy
            let near = choice.filter { rest[$0].isNear && inFlight(rest[$0].provider.peerID) < Self.nearLimit }
            let drawn = (near.isEmpty ? choice : near).shuffled(using: &random).prefix(2)
            guard let best = drawn.min(by: { cost(rest[$0].provider.peerID) < cost(rest[$1].provider.peerID) })
            else { break }
            ordered.append(rest.remove(at: best).provider)
        }
        return ordered
    }

    /// How long a peer is likely to take, in no unit.
    private func cost(_ peerID: String) -> Double {
        let peer = peers[peerID]
        return Double((peer?.inFlight ?? 0) + 1) * (peer?.firstByte ?? usual)
    }

    private func isPenalised(_ peerID: String, now: NIODeadline) -> Bool {
        peers[peerID].map { now < $0.penaltyEnds } ?? false
    }

    /// Forgets the half that was used longest ago, except those that something is under way to.
    private mutating func forget() {
        let idle = peers.filter { $0.value.inFlight == 0 }.sorted { $0.value.lastUse < $1.value.lastUse }
        for (peerID, _) in idle.prefix(max(1, Self.limit / 2)) { peers[peerID] = nil }
    }
}
