public import Multiformats
public import Time

/// What a coordinator asks of the node that it runs in.
public enum SwarmAction: Hashable, Sendable {
    /// Send a message to a member.
    case send(SwarmMessage, to: PeerID)
    /// Look up the complete providers of a key, and hand them in with ``Coordinator/found(_:of:now:)``.
    case findProviders(CrowdKey)
}

/// The limits of a coordinator.
public enum CoordinatorLimits {
    /// The maximum number of crowds. A join for one more gets the lead: its member goes upstream.
    public static let crowds = 1024
    /// The maximum number of members and providers of one crowd.
    public static let members = 16_384
    /// The maximum number of members of all crowds.
    public static let allMembers = 65_536
    /// The maximum number of complete providers of one lookup.
    public static let providers = 16
    /// The number of members that could not read from a source after which it is one no more.
    static let failures = 3
    /// How long a crowd is remembered after its last message.
    static let lifetime = Duration.seconds(60)
}

/// The coordinator of the crowds whose keys are closest to this node: it knows how far each member has come, and says who
/// reads from whom.
///
/// Messages of members, results of lookups and the time go in; actions come out. All of its state is soft: members tell
/// another coordinator where they stand, and two coordinators at once cost a copy more. ``CrowdPolicy`` has the policy.
public struct Coordinator: Sendable {
    private let policy: CrowdPolicy
    private var crowds: [CrowdKey: Crowd] = [:]
    private var memberCount = 0
    private var tickAt: MonotonicTime?
    private var roundAt: MonotonicTime?
    /// The nodes to which crowds were handed over.
    private var successors: ExpiringMap<CrowdKey, SwarmMessage.Source>

    /// Creates a coordinator without crowds.
    public init(policy: CrowdPolicy = CrowdPolicy()) {
        self.policy = policy
        successors = ExpiringMap(limit: CoordinatorLimits.crowds)
    }

    /// When ``advance(to:)`` is due; `nil` while nothing is to be done.
    public var deadline: MonotonicTime? {
        guard let tickAt else { return roundAt }
        guard let roundAt else { return tickAt }
        return min(tickAt, roundAt)
    }

    /// Handles a message. Its sender must be the one that the connection has proven.
    public mutating func receive(_ message: SwarmMessage, from id: PeerID, now: MonotonicTime) -> [SwarmAction] {
        var out: [SwarmAction] = []
        let key = message.key
        if let successor = successors.value(of: key, now: now) {
            if case .leave = message.body { return [] }
            return [.send(SwarmMessage(key: key, body: .elsewhere(successor)), to: id)]
        }
        switch message.body {
        case .join(let join):
            if crowds[key] == nil {
                guard crowds.count < CoordinatorLimits.crowds else {
                    return [.send(SwarmMessage(key: key, body: .lead), to: id)]
                }
                crowds[key] = Crowd(key: key, policy: policy, now: now)
                out.append(.findProviders(key))
            }
            let isFull =
                memberCount >= CoordinatorLimits.allMembers
                || crowds[key].map { $0.count >= CoordinatorLimits.members && $0.index[id] == nil } ?? true
            guard !isFull else { return [.send(SwarmMessage(key: key, body: .lead), to: id)] }
            change(key, now: now) { $0.join(join, from: id, now: now, &out) }
        case .progress(let progress):
            guard crowds[key] != nil else { return [.send(SwarmMessage(key: key, body: .unknown), to: id)] }
            change(key, now: now) { $0.progress(progress, from: id, now: now, &out) }
        case .leave: change(key, now: now) { $0.leave(id, now: now, &out) }
        case .place, .wait, .lead, .elsewhere, .unknown: break
        }
        return out
    }

    /// Hands in the result of a lookup: the complete providers of a key, the nearest first.
    public mutating func found(
        _ providers: [SwarmMessage.Source],
        of key: CrowdKey,
        now: MonotonicTime
    ) -> [SwarmAction] {
        var out: [SwarmAction] = []
        change(key, now: now) { $0.found(providers, now: now, &out) }
        return out
    }

    /// Forgets a member whose connection has ended.
    public mutating func lost(_ id: PeerID, now: MonotonicTime) -> [SwarmAction] {
        var out: [SwarmAction] = []
        for key in crowds.keys where crowds[key]?.index[id] != nil {
            change(key, now: now) { $0.leave(id, now: now, &out) }
        }
        return out
    }

    /// Hands a crowd over to a node that is closer to its key. Members learn it with the answer to their next message.
    public mutating func handOver(_ key: CrowdKey, to successor: SwarmMessage.Source, now: MonotonicTime) {
        if let crowd = crowds.removeValue(forKey: key) { memberCount -= crowd.count }
        successors.insert(successor, for: key, lifetime: CoordinatorLimits.lifetime, now: now)
        checkInvariants()
    }

    /// Does what is due.
    public mutating func advance(to now: MonotonicTime) -> [SwarmAction] {
        var out: [SwarmAction] = []
        if let roundAt, roundAt <= now {
            self.roundAt = nil
            for key in Array(crowds.keys) where crowds[key]?.roundAt != nil {
                change(key, now: now) { $0.endRound(now: now, &out) }
            }
        }
        if let tickAt, tickAt <= now {
            self.tickAt = nil
            for key in Array(crowds.keys) {
                if let crowd = crowds[key], now - crowd.lastActivity >= CoordinatorLimits.lifetime {
                    memberCount -= crowd.count
                    crowds[key] = nil
                } else {
                    change(key, now: now) { $0.tick(now: now, &out) }
                }
            }
            if !crowds.isEmpty { self.tickAt = now + CrowdPolicy.tick }
        }
        return out
    }

    private mutating func change(_ key: CrowdKey, now: MonotonicTime, _ body: (inout Crowd) -> Void) {
        guard let place = crowds.index(forKey: key) else { return }
        let before = crowds.values[place].count
        body(&crowds.values[place])
        let crowd = crowds.values[place]
        memberCount += crowd.count - before
        if let round = crowd.roundAt { roundAt = roundAt.map { min($0, round) } ?? round }
        if tickAt == nil { tickAt = now + CrowdPolicy.tick }
        checkInvariants(of: crowd)
    }

    private func checkInvariants(of crowd: Crowd) {
        assert(memberCount >= 0)
        // A large crowd would make a debug build crawl.
        assert(crowd.count > 64 || crowd.problem() == nil, crowd.problem() ?? "")
    }

    /// Checks in debug builds that all parts agree with each other.
    func checkInvariants() {
        assert(memberCount == crowds.values.reduce(0) { $0 + $1.count })
        assert(crowds.values.allSatisfy { $0.problem() == nil })
    }

    /// What a crowd looks like, for the page and for tests; `nil` if there is none.
    public func picture(of key: CrowdKey) -> CrowdPicture? { crowds[key]?.picture }

    /// The keys of all crowds, in no order.
    public var keys: [CrowdKey] { Array(crowds.keys) }
}
