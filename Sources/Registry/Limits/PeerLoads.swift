import NIOCore
import Routing

/// What this node has seen of the peers that it asks, and which of several holders it asks first for that reason: a
/// value without a clock or randomness of its own.
///
/// Of two holders that are drawn at random the one is taken that is likely to answer sooner: fewer requests under way
/// to it, and a shorter time to its first byte. So none is asked by all at once, however good it is, and none that is
/// slow is asked much. Holders that have failed or were busy a short while ago come last. Of the others the nearest come
/// first, as ``Nearness`` says, but for those that are much more loaded than the least loaded one, or much slower than the
/// fastest.
struct PeerLoads {
    /// The most peers that are remembered; those that nothing is under way to give way.
    static let limit = 1024
    /// How long a peer comes last after it has failed, and after it was busy.
    static let failurePenalty = TimeAmount.seconds(30)
    static let busyPenalty = TimeAmount.seconds(2)
    /// With so many requests more under way to it than to the least loaded holder one is no better for being near.
    static let nearLimit = 8
    /// Nor is one that takes so many times as long as the fastest to its first byte, and so much longer.
    static let slowFactor = 8.0
    static let slowMargin = TimeAmount.milliseconds(50)
    /// Unless nothing was asked of it for so long: then it may have changed, and is tried again.
    static let slowMemory = TimeAmount.seconds(30)
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
    /// - Parameter nearness: how near a holder is.
    func order(
        _ holders: [Provider],
        now: NIODeadline,
        using random: inout some RandomNumberGenerator,
        nearness: (Provider) -> Nearness
    ) -> [Provider] {
        guard holders.count > 1 else { return holders }
        var rest = holders.map { (provider: $0, nearness: nearness($0)) }
        var ordered: [Provider] = []
        while !rest.isEmpty {
            let healthy = rest.indices.filter { !isPenalised(rest[$0].provider.peerID, now: now) }
            let choice = healthy.isEmpty ? Array(rest.indices) : healthy
            var among = choice
            // Where all are as near as each other, the draw spreads them well enough.
            if Set(choice.map { rest[$0].nearness }).count > 1 {
                let able = unburdened(choice, now: now) { rest[$0].provider.peerID }
                let nearest = able.map { rest[$0].nearness }.min()
                among = able.filter { rest[$0].nearness == nearest }
            }
            let drawn = among.shuffled(using: &random).prefix(2)
            guard let best = drawn.min(by: { cost(rest[$0].provider.peerID) < cost(rest[$1].provider.peerID) })
            else { break }
            ordered.append(rest.remove(at: best).provider)
        }
        return ordered
    }

    /// Those that are neither much more loaded than the least loaded one nor much slower than the fastest. There
    /// is always one.
    private func unburdened(_ choice: [Int], now: NIODeadline, peerID: (Int) -> String) -> [Int] {
        let least = choice.map { inFlight(peerID($0)) }.min() ?? 0
        let able = choice.filter { inFlight(peerID($0)) < least + Self.nearLimit }
        let fastest = able.compactMap { recentFirstByte(peerID($0), now: now) }.min() ?? 0
        let limit = max(fastest * Self.slowFactor, fastest + Double(Self.slowMargin.nanoseconds))
        return able.filter { recentFirstByte(peerID($0), now: now).map { $0 <= limit } ?? true }
    }

    private func recentFirstByte(_ peerID: String, now: NIODeadline) -> Double? {
        guard let peer = peers[peerID], now < peer.lastUse + Self.slowMemory else { return nil }
        return peer.firstByte
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
