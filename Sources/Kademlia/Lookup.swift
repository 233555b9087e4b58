public import Multiformats
import Time

/// An iterative lookup (libp2p/specs, kad-dht, "Peer routing" and "Content provider discovery"), without any I/O.
///
/// It holds the known candidates sorted by distance, says whom to ask next, and is done when the K closest of those that
/// answer have answered, or, if it seeks providers, when it has found enough of them. Whatever peers answer, it asks at
/// most ``Configuration/maximumRequests`` of them and remembers a bounded number.
public struct Lookup: Sendable {
    /// What is sought.
    public enum Goal: Hashable, Sendable {
        /// The K peers closest to the target.
        case closestPeers
        /// So many providers of the key; fewer if all who should know have answered.
        case providers(wanted: Int)
    }

    /// The parameters of Kademlia, and the bounds that hostile answers run into.
    public struct Configuration: Sendable {
        /// K: how many of the closest peers must have answered.
        public var replication = 20
        /// Alpha: how many requests are under way at a time.
        public var parallelism = 10
        /// Beta: when so many of the closest candidates have answered, the rest of the K closest are asked at once.
        public var resiliency = 3
        /// A request that takes longer no longer counts as under way; its answer is still welcome.
        public var patience: Duration = .seconds(1)
        /// The candidates that are remembered; the farthest are forgotten.
        public var maximumCandidates = 200
        /// The requests after which the lookup ends in any case.
        public var maximumRequests = 200
        /// The providers that are remembered.
        public var maximumProviders = 256
        /// The providers that are taken from one answer.
        public var maximumProvidersPerReply = 256

        /// The defaults of libp2p.
        public init() {}
    }

    /// What the driver is to do.
    public enum Step: Hashable, Sendable {
        /// Ask these peers, and go on asking for steps.
        case ask([PeerInfo])
        /// Wait for an answer or a failure, at most until the given time, if any.
        case wait(until: MonotonicTime?)
        /// The lookup is over. Answers that are still under way are not needed.
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
        /// How many answers in sequence it took to hear of the peer, plus one.
        let depth: Int
        var progress = Progress.known
    }

    /// What is sought.
    public let goal: Goal
    /// The key as it is sent.
    public let key: [UInt8]
    /// Where the key lies.
    public let target: KeySpacePosition
    /// How many peers were asked.
    public private(set) var requestCount = 0
    /// The longest chain of answers, each of which named the next peer: the sequential hops.
    public private(set) var hops = 0

    private let localPeer: PeerID
    private let configuration: Configuration
    private let isUsable: @Sendable (Multiaddr) -> Bool
    /// The closest first.
    private var candidates: [Candidate] = []
    /// Nil if peers are sought.
    private var harvest: ProviderHarvest?
    private var isFinished = false

    /// A lookup that starts from `seeds`.
    ///
    /// - Parameters:
    ///   - key: the key on the wire: of content, or a peer id.
    ///   - isUsable: whether an address of a candidate can be dialled; others are dropped, and a peer that has none
    ///     left is not asked. Providers keep all their addresses.
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

    /// The K closest peers that have answered, the closest first.
    public var closestAnswered: [PeerInfo] {
        candidates.lazy.filter { $0.progress == .answered }.prefix(configuration.replication).map(\.info)
    }

    /// How many providers were found.
    public var providerCount: Int { harvest?.count ?? 0 }

    /// Providers that were named but did not count as found, because one answer named many: for when the lookup has
    /// ended with fewer than were wanted.
    public var surplusProviders: [PeerInfo] { harvest?.surplus ?? [] }

    /// Peers that were asked, and took longer than the lookup's patience.
    public var latePeers: [PeerInfo] {
        candidates.lazy.filter { $0.progress == .late }.map(\.info)
    }

    // MARK: - Input

    /// Takes an answer. One from a peer that was not asked, or was before, is ignored.
    ///
    /// - Returns: the providers that were not known yet; the node itself is never among them.
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

    /// Notes that a peer could not be asked, or did not answer in time or sense.
    public mutating func failure(of id: PeerID) {
        guard let index = index(of: id) else { return }
        switch candidates[index].progress {
        case .asked, .late: candidates[index].progress = .failed
        case .known, .answered, .failed: break
        }
    }

    // MARK: - Output

    /// What to do now. After ``Step/ask(_:)``, ask again for the next step.
    public mutating func next(now: MonotonicTime) -> Step {
        guard !isFinished, !hasEnoughProviders else { return finish() }
        var underWay = 0
        var earliest: MonotonicTime?
        for index in candidates.indices {
            guard case .asked(let time) = candidates[index].progress else { continue }
            let deadline = time + configuration.patience
            if deadline <= now {
                candidates[index].progress = .late
            } else {
                underWay += 1
                earliest = min(earliest ?? deadline, deadline)
            }
        }
        let asked = ask(room: roomForRequests(underWay: underWay), now: now)
        if !asked.isEmpty { return .ask(asked) }
        guard underWay == 0 else { return .wait(until: earliest) }
        // Late answers are waited for (the driver's deadline ends that) as long as hardly anybody has answered: a slow
        // network is not an empty one.
        return answeredCount < configuration.resiliency && hasLateRequests ? .wait(until: nil) : finish()
    }

    /// How many of the candidates have answered.
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

    /// Alpha at a time on the way to the target; once the closest have answered, all of the K closest at once.
    private func roomForRequests(underWay: Int) -> Int {
        var answered = 0
        for candidate in candidates {
            switch candidate.progress {
            case .failed, .late: continue
            case .answered: answered += 1
            case .known, .asked: return max(0, configuration.parallelism - underWay)
            }
            if answered >= configuration.resiliency { break }
        }
        return configuration.replication
    }

    /// Marks and returns the closest candidates not asked yet that are among the K closest which may still answer.
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
            // One answer may name false addresses: as long as the peer was not asked, all that were heard are kept.
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
        // Forget the farthest that was not asked; those asked must stay, so that they are not asked again.
        if let farthest = candidates.lastIndex(where: { $0.progress == .known }) {
            candidates.remove(at: farthest)
        }
    }
}
