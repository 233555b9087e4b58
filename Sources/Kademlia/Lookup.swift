public import Multiformats
import Time

/// An iterative lookup (libp2p/specs, kad-dht, "Peer routing" and "Content provider discovery"), without I/O.
///
/// It keeps the known candidates sorted by distance and selects the next peers to ask. It ends when the K closest peers
/// that reply have replied, or when a lookup for providers has found enough of them. Whatever peers reply, it sends at
/// most ``Configuration/maximumRequests`` requests and keeps a bounded state.
public struct Lookup: Sendable {
    /// The goal of a lookup.
    public enum Goal: Hashable, Sendable {
        /// The K peers closest to the target.
        case closestPeers
        /// This many providers of the key, or fewer if all peers that should know have replied.
        case providers(wanted: Int)
    }

    /// The parameters of Kademlia, and the limits for hostile replies.
    public struct Configuration: Sendable {
        /// K: the number of closest peers that must have replied.
        public var replication = 20
        /// Alpha: the number of concurrent requests.
        public var parallelism = 10
        /// Beta: when this many of the closest candidates have replied, the rest of the K closest are asked at once.
        public var resiliency = 3
        /// A slower request no longer counts as in flight. Its reply is still used.
        public var patience: Duration = .seconds(1)
        /// The maximum number of candidates. The farthest are dropped.
        public var maximumCandidates = 200
        /// The maximum number of requests.
        public var maximumRequests = 200
        /// The maximum number of providers.
        public var maximumProviders = 256
        /// The maximum number of providers from one reply.
        public var maximumProvidersPerReply = 256

        /// The defaults of libp2p.
        public init() {}
    }

    /// The driver's next step.
    public enum Step: Hashable, Sendable {
        /// Ask these peers, then take the next step.
        case ask([PeerInfo])
        /// Wait for a reply or a failure, at most until the given time.
        case wait(until: MonotonicTime?)
        /// The lookup has ended. Outstanding replies are not needed.
        case finished
    }

    private enum Progress: Hashable, Sendable {
        case known
        case asked(at: MonotonicTime)
        /// Asked, and slower than the lookup's patience.
        case late
        case answered
        case failed
    }

    private struct Candidate: Sendable {
        var info: PeerInfo
        let distance: KeySpaceDistance
        /// The number of sequential replies that led to the peer, plus one.
        let depth: Int
        var progress = Progress.known
    }

    /// The goal.
    public let goal: Goal
    /// The wire form of the key.
    public let key: [UInt8]
    /// The position of the key.
    public let target: KeySpacePosition
    /// The number of sent requests.
    public private(set) var requestCount = 0
    /// The sequential hops: the longest chain of replies, each of which named the next peer.
    public private(set) var hops = 0

    private let localPeer: PeerID
    private let configuration: Configuration
    private let isUsable: @Sendable (Multiaddr) -> Bool
    /// The candidates, the closest first.
    private var candidates: [Candidate] = []
    /// `nil` in a lookup for peers.
    private var harvest: ProviderHarvest?
    private var isFinished = false

    /// Creates a lookup that starts from `seeds`.
    ///
    /// - Parameters:
    ///   - key: the wire form of a content key, or a peer id.
    ///   - isUsable: whether this node can dial an address of a candidate. Other addresses are dropped, and a peer
    /// without
    ///     any is not asked. Providers keep all their addresses.
    public init(
        _ goal: Goal,
        key: [UInt8],
        localPeer: PeerID,
        seeds: [PeerInfo],
        configuration: Configuration = Configuration(),
        isUsable: @escaping @Sendable (Multiaddr) -> Bool = { _ in true }
    ) {
        self.goal = goal
        self.key = key
        self.localPeer = localPeer
        self.configuration = configuration
        self.isUsable = isUsable
        target = KeySpacePosition(hashing: key)
        if case .providers(let wanted) = goal {
            harvest = ProviderHarvest(wanted: wanted, localPeer: localPeer, configuration: configuration)
        }
        for seed in seeds { learn(seed, depth: 1) }
    }

    // MARK: - Results

    /// The K closest peers that have replied, the closest first.
    public var closestAnswered: [PeerInfo] {
        candidates.lazy.filter { $0.progress == .answered }.prefix(configuration.replication).map(\.info)
    }

    /// The number of found providers.
    public var providerCount: Int { harvest?.count ?? 0 }

    /// Providers that did not count as found because one reply named many. They are for a lookup that ends with fewer
    /// than it needs.
    public var surplusProviders: [PeerInfo] { harvest?.surplus ?? [] }

    /// Peers whose request took longer than the lookup's patience.
    public var latePeers: [PeerInfo] {
        candidates.lazy.filter { $0.progress == .late }.map(\.info)
    }

    // MARK: - Input

    /// Takes a reply. Ignores a reply of a peer that was not asked, or has replied before.
    ///
    /// - Returns: the new providers, never this node itself.
    public mutating func reply(
        from id: PeerID,
        closerPeers: [PeerInfo],
        providers: [PeerInfo] = []
    ) -> [PeerInfo] {
        guard !isFinished, let index = index(of: id) else { return [] }
        switch candidates[index].progress {
        case .asked, .late: candidates[index].progress = .answered
        case .known, .answered, .failed: return []
        }
        let depth = candidates[index].depth
        hops = max(hops, depth)
        for peer in closerPeers.prefix(configuration.replication) { learn(peer, depth: depth + 1) }
        return harvest?.take(providers) ?? []
    }

    /// Records that a request to a peer failed.
    public mutating func failure(of id: PeerID) {
        guard let index = index(of: id) else { return }
        switch candidates[index].progress {
        case .asked, .late: candidates[index].progress = .failed
        case .known, .answered, .failed: break
        }
    }

    // MARK: - Output

    /// The next step. After ``Step/ask(_:)``, call it again.
    public mutating func next(now: MonotonicTime) -> Step {
        guard !isFinished, !hasEnoughProviders else { return finish() }
        var inFlight = 0
        var earliest: MonotonicTime?
        for index in candidates.indices {
            guard case .asked(let time) = candidates[index].progress else { continue }
            let deadline = time + configuration.patience
            if deadline <= now {
                candidates[index].progress = .late
            } else {
                inFlight += 1
                earliest = min(earliest ?? deadline, deadline)
            }
        }
        let asked = ask(room: roomForRequests(inFlight: inFlight), now: now)
        if !asked.isEmpty { return .ask(asked) }
        guard inFlight == 0 else { return .wait(until: earliest) }
        // While hardly any peer has replied, wait for late replies up to the driver's deadline: a slow network is not
        // an empty one.
        return answeredCount < configuration.resiliency && hasLateRequests ? .wait(until: nil) : finish()
    }

    /// The number of candidates that have replied.
    var answeredCount: Int {
        candidates.count { $0.progress == .answered }
    }

    private var hasLateRequests: Bool {
        candidates.contains { $0.progress == .late }
    }

    private var hasEnoughProviders: Bool {
        if case .providers(let wanted) = goal { providerCount >= wanted } else { false }
    }

    private mutating func finish() -> Step {
        isFinished = true
        return .finished
    }

    /// The number of requests that may start: alpha in flight on the way to the target, or the K closest at once after
    /// the closest have replied.
    private func roomForRequests(inFlight: Int) -> Int {
        var answered = 0
        for candidate in candidates {
            switch candidate.progress {
            case .failed, .late: continue
            case .answered: answered += 1
            case .known, .asked: return max(0, configuration.parallelism - inFlight)
            }
            if answered >= configuration.resiliency { break }
        }
        return configuration.replication
    }

    /// Marks and returns the closest candidates not asked yet, among the K closest that may still reply.
    private mutating func ask(room: Int, now: MonotonicTime) -> [PeerInfo] {
        var room = min(room, configuration.maximumRequests - requestCount)
        var considered = 0
        var asked: [PeerInfo] = []
        for index in candidates.indices {
            guard room > 0, considered < configuration.replication else { break }
            switch candidates[index].progress {
            case .failed, .late: continue
            case .answered, .asked: considered += 1
            case .known:
                considered += 1
                candidates[index].progress = .asked(at: now)
                requestCount += 1
                room -= 1
                asked.append(candidates[index].info)
            }
        }
        return asked
    }

    // MARK: - Candidates

    private func index(of id: PeerID) -> Int? {
        candidates.firstIndex { $0.info.id == id }
    }

    private mutating func learn(_ peer: PeerInfo, depth: Int) {
        guard peer.id != localPeer else { return }
        let addresses = peer.addresses.filter(isUsable)
        guard !addresses.isEmpty else { return }
        if let index = index(of: peer.id) {
            // A reply may name false addresses. Keep all addresses until the peer is asked.
            guard candidates[index].progress == .known else { return }
            for address in addresses where !candidates[index].info.addresses.contains(address) {
                guard candidates[index].info.addresses.count < Message.Limits.addresses else { break }
                candidates[index].info.addresses.append(address)
            }
            return
        }
        let distance = KeySpacePosition(hashing: peer.id.bytes).distance(to: target)
        let place = candidates.firstIndex { distance < $0.distance } ?? candidates.endIndex
        guard place < configuration.maximumCandidates else { return }
        candidates.insert(
            Candidate(info: PeerInfo(id: peer.id, addresses: addresses), distance: distance, depth: depth),
            at: place
        )
        guard candidates.count > configuration.maximumCandidates else { return }
        // Drop the farthest candidate not asked yet. Asked ones stay, so that they are not asked again.
        if let farthest = candidates.lastIndex(where: { $0.progress == .known }) {
            candidates.remove(at: farthest)
        }
    }

    // MARK: - Invariants

    /// Checks the order and the number of the candidates, and the limits of what is asked.
    ///
    /// - Returns: what does not hold; `nil` if all does. Takes linear time.
    public func checkInvariants() -> String? {
        if candidates.count > configuration.maximumCandidates { return "lookup: too many candidates" }
        if !zip(candidates, candidates.dropFirst()).allSatisfy({ $0.distance < $1.distance }) {
            return "lookup: candidates out of order"
        }
        if candidates.contains(where: { $0.info.id == localPeer }) { return "lookup: this node is a candidate" }
        // An asked peer stays a candidate, or it would be asked again.
        if requestCount != candidates.count(where: { $0.progress != .known }) { return "lookup: an asked peer is lost" }
        if requestCount > configuration.maximumRequests { return "lookup: too many requests" }
        if hops > answeredCount { return "lookup: more hops than replies" }
        return providerCount <= configuration.maximumProviders ? nil : "lookup: too many providers"
    }
}
