import Time

/// Tells an attempt from all others of the same transfer.
package typealias AttemptID = Int

/// One request to a peer, and how far its response has come.
struct Attempt {
    enum Phase {
        /// Waits for a permit, as this node fetches as much as it may. -> `connecting`
        case queued
        /// -> `waitingForHead`
        case connecting
        /// The request was sent. -> `receiving`
        case waitingForHead(reused: Bool)
        /// The head came, and the body is read here; the client already has the first `skip` bytes that come.
        /// -> `moving`, `verifying`
        case receiving(PromisedContent, skip: Int64)
        /// The kernel moves the rest of the body to the client, and watches its progress. -> `verifying`
        case moving(PromisedContent)
        /// All of the body came; the caller compares its digest.
        case verifying(PromisedContent)
    }

    let id: AttemptID
    var candidate: Candidate
    let address: PeerAddress
    let part: RequestedPart
    /// Whether the peer timed out moments ago, so that it has less time for its head.
    var isHurried = false
    /// Whether the peer is asked to verify the content before it sends it.
    let wantsCheck: Bool
    /// Whether it is refused if it does not say that it has.
    let mustBeChecked: Bool
    /// Whether it has said so.
    var isChecked = false
    /// Whether the peer is left for being slow, once the kernel has stopped.
    var isLeft = false
    let started: MonotonicTime
    /// When the peer was asked; `nil` once it has sent a byte of its body.
    var askedAt: MonotonicTime?
    var phase = Phase.connecting
    /// When the attempt times out; `nil` while the client takes nothing.
    var deadline: MonotonicTime?
    /// When another peer is asked beside this one, unless a byte of the body came.
    var hedgeAt: MonotonicTime

    var peerID: String { candidate.peer.id }

    /// The peer at the next of its addresses, of which at most `limit` are tried, if it could not be connected to.
    func nextAddress(limit: Int) -> Candidate? {
        guard case .connecting = phase else { return nil }
        var other = candidate
        other.addressIndex += 1
        return other.addressIndex < limit && other.address != nil ? other : nil
    }

    /// Whether a failure in this phase says nothing of the content: the peer was unreachable or gave no answer.
    func isUnanswered(_ failure: AttemptFailure) -> Bool {
        switch (phase, failure) {
        case (.connecting, .cannotConnect), (.connecting, .connectTimeout), (.connecting, .closed): true
        case (.waitingForHead, .closed), (.waitingForHead, .headTimeout): true
        default: false
        }
    }
}

/// The attempts in flight.
struct Attempts {
    /// How many are in flight at most.
    static let maximum = 4

    /// The earlier first; one alone once it has won.
    var running: [Attempt] = []
    /// The attempt whose body goes to the client.
    private(set) var winner: AttemptID?
    private var lastID = 0

    var isEmpty: Bool { running.isEmpty }

    /// When the first of them times out.
    var deadline: MonotonicTime? {
        var earliest: MonotonicTime?
        for case let deadline? in running.lazy.map(\.deadline) {
            earliest = earliest.map { min($0, deadline) } ?? deadline
        }
        return earliest
    }

    func index(of id: AttemptID) -> Int? {
        running.firstIndex { $0.id == id }
    }

    mutating func nextID() -> AttemptID {
        lastID += 1
        return lastID
    }

    /// Makes another peer be asked now in place of one that timed out.
    mutating func hedgeNow(_ now: MonotonicTime) {
        guard let last = running.indices.last else { return }
        running[last].hedgeAt = min(running[last].hedgeAt, now)
    }

    /// Makes an attempt the one whose body goes to the client.
    ///
    /// - Returns: the others, which end.
    mutating func choose(_ chosen: Attempt) -> [Attempt] {
        winner = chosen.id
        let losers = running.filter { $0.id != chosen.id }
        running = [chosen]
        return losers
    }

    /// Ends an attempt.
    ///
    /// - Returns: it, and whether its body went to the client.
    mutating func remove(at index: Int) -> (attempt: Attempt, wasWinner: Bool) {
        let attempt = running.remove(at: index)
        let wasWinner = winner == attempt.id
        if wasWinner { winner = nil }
        return (attempt, wasWinner)
    }

    mutating func removeAll() {
        running = []
        winner = nil
    }

    func checkInvariants() {
        assert(running.count <= Self.maximum)
        assert(Set(running.map(\.id)).count == running.count)
        assert(winner == nil || running.map(\.id) == [winner])
        for attempt in running {
            switch attempt.phase {
            case .moving, .verifying: assert(winner == attempt.id)
            case .queued, .connecting, .waitingForHead: assert(winner != attempt.id && attempt.deadline != nil)
            case .receiving: break
            }
        }
    }
}
