import Time

/// How many peers one transfer may ask.
///
/// For ``RetryLimits/spareTime`` from the first request on, every provider may be asked: a peer that refuses or is
/// unreachable is replaced at once. After that the budget counts: at most `limit` peers that answered without content,
/// and at most `limit` peers asked, so that many silent peers delay the answer little longer than a few. A round ends
/// when a peer sent part of a body; the next round has its own time and its own count of peers asked. Once the client
/// has part of the body, answers no longer count. A peer that has answered may be asked again in any case (it was busy
/// or slow). Suspects have a budget of their own, of the same size.
struct RetryBudget {
    private struct Count {
        /// Peers that answered.
        var answered = 0
        /// Peers asked in this round.
        var asked = 0
    }

    private let limit: Int
    private let time: Duration
    private var usable = Count()
    private var suspects = Count()
    private var round = 1
    private var deadline: MonotonicTime?
    /// Whether the spare time is over, so that the budget counts.
    private var isCounting = false

    init(limit: Int, time: Duration) {
        self.limit = limit
        self.time = time
    }

    /// Whether a peer that is not yet found could be asked.
    func allowsAnother(inMidBody: Bool) -> Bool {
        !isCounting || ((inMidBody || usable.answered < limit) && usable.asked < limit)
    }

    /// Whether a candidate may be asked.
    ///
    /// - Parameters:
    ///   - running: how many attempts are in flight at peers of its kind that have not answered.
    ///   - inMidBody: whether the client has part of the body.
    func allows(_ candidate: Candidate, beside running: Int, inMidBody: Bool) -> Bool {
        if candidate.hasAnswered || !isCounting { return true }
        let count = candidate.standing.isSuspect ? suspects : usable
        guard inMidBody || count.answered + running < limit else { return false }
        return count.asked < limit + (candidate.round == round ? 1 : 0)
    }

    /// A candidate is asked.
    mutating func asked(_ candidate: inout Candidate, now: MonotonicTime) {
        if deadline == nil { deadline = now + time }
        guard candidate.round != round else { return }
        candidate.round = round
        count(candidate) { $0.asked += 1 }
    }

    /// A candidate answered, and failed.
    mutating func answered(_ candidate: inout Candidate) {
        guard !candidate.hasAnswered else { return }
        candidate.hasAnswered = true
        count(candidate) { $0.answered += 1 }
    }

    /// A candidate waited for a permit, which is not its fault.
    mutating func waited(_ time: Duration, now: MonotonicTime) {
        guard let before = deadline else { return }
        deadline = before + time
        isCounting = false
        timePassed(now: now)
    }

    /// A peer sent part of a body and failed.
    mutating func startRound() {
        round += 1
        deadline = nil
        isCounting = false
        usable.asked = 0
        suspects.asked = 0
    }

    mutating func timePassed(now: MonotonicTime) {
        if let deadline, now >= deadline { isCounting = true }
    }

    private mutating func count(_ candidate: Candidate, _ change: (inout Count) -> Void) {
        if candidate.standing.isSuspect { change(&suspects) } else { change(&usable) }
    }
}
