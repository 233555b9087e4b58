import Time

/// A peer that may be asked, and at which of its addresses.
struct Candidate {
    var peer: Peer
    var standing: PeerStanding
    var addressIndex = 0
    /// Whether it was left for being slow: it is asked again after all others.
    var wasLeft = false
    /// Whether it has answered that it cannot verify its content, so that what it sends is hashed instead.
    var cannotVerify = false
    /// Whether it has answered, if only that it is busy.
    var hasAnswered = false
    /// The round of the retry budget in which it was asked last; 0 before.
    var round = 0

    var address: PeerAddress? { peer.addresses.dropFirst(addressIndex).first }
}

/// The order in which a transfer asks the peers that were found.
///
/// Trusted peers come first, then distrusted ones, each group in the order in which the caller added it; the caller
/// sorts peers that were found together (``PeerBook``). Suspects come last, and only when the lookup can find no
/// other peer. Among them, those that cannot verify their content come last. Banned peers are never asked. A peer that failed at one address comes next at its following address,
/// or last if it timed out there. A peer that was left for being slow comes after all. Busy and slow peers rest for a while, and return after all others were asked. At most
/// `limit` peers are kept, besides at most `suspectLimit` suspects.
struct Candidates {
    /// The most providers kept, suspects not counted.
    let limit: Int
    private let suspectLimit: Int
    private var seenPeers: [String] = []
    /// How many of these are no suspects.
    private(set) var usableCount = 0
    /// Those that can be asked now, the best first.
    private var waiting: [Candidate] = []
    /// Busy and slow peers, and when each may be asked again.
    private var resting: [(candidate: Candidate, until: MonotonicTime)] = []

    init(limit: Int, suspectLimit: Int) {
        self.limit = limit
        self.suspectLimit = suspectLimit
    }

    /// Whether there is room for more.
    var hasRoom: Bool { usableCount < limit }

    /// How many peers were found.
    var foundCount: Int { seenPeers.count }

    /// Whether no busy or slow peer is left.
    var isRestingEmpty: Bool { resting.isEmpty }

    /// When the first busy or slow peer may be asked again.
    func restEnds(ofSuspects: Bool) -> MonotonicTime? {
        var earliest: MonotonicTime?
        for (candidate, until) in resting where ofSuspects || !candidate.standing.isSuspect {
            earliest = earliest.map { min($0, until) } ?? until
        }
        return earliest
    }

    /// Adds a provider.
    ///
    /// - Returns: whether it is new and can be asked.
    mutating func add(_ peer: Peer, _ standing: PeerStanding) -> Bool {
        guard hasRoom, standing < .banned else { return false }
        guard !peer.addresses.isEmpty, !seenPeers.contains(peer.id) else { return false }
        if standing.isSuspect {
            guard seenPeers.count - usableCount < suspectLimit else { return false }
        } else {
            usableCount += 1
        }
        seenPeers.append(peer.id)
        enqueue(Candidate(peer: peer, standing: standing))
        return true
    }

    /// Puts a candidate behind those that are trusted as much or more.
    mutating func enqueue(_ candidate: Candidate) {
        let place = waiting.firstIndex { $0.standing > candidate.standing } ?? waiting.endIndex
        waiting.insert(candidate, at: place)
    }

    /// Puts a candidate behind all others.
    mutating func putLast(_ candidate: Candidate) {
        waiting.append(candidate)
    }

    /// Puts a candidate before all others.
    mutating func putFirst(_ candidate: Candidate) {
        waiting.insert(candidate, at: 0)
    }

    /// Leaves a busy or slow candidate alone for a while.
    mutating func rest(_ candidate: Candidate, until: MonotonicTime) {
        resting.append((candidate, until))
    }

    /// The place of the best candidate that can be asked now and meets a condition.
    func firstIndex(where condition: (Candidate) -> Bool) -> Int? {
        waiting.firstIndex(where: condition)
    }

    /// Takes the candidate at a place.
    mutating func take(at index: Int) -> Candidate {
        waiting.remove(at: index)
    }

    /// Takes a candidate whose rest is over.
    mutating func takeRested(suspects: Bool, now: MonotonicTime) -> Candidate? {
        let index = resting.firstIndex { $0.until <= now && (suspects || !$0.candidate.standing.isSuspect) }
        return index.map { resting.remove(at: $0).candidate }
    }

    mutating func removeAll() {
        waiting.removeAll()
        resting.removeAll()
    }

    func checkInvariants() {
        assert(usableCount <= limit && usableCount <= seenPeers.count)
        assert(seenPeers.count - usableCount <= suspectLimit)
        assert(waiting.count + resting.count <= seenPeers.count)
        assert(waiting.allSatisfy { $0.standing < .banned })
    }
}
