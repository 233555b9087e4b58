import NIOCore

extension MirrorTransfer {
    /// Which of the peers that were found may be asked.
    ///
    /// All, for a limited time from the first on. After that each peer that was asked counts, so that many that are silent
    /// or slow do not hold the answer up much longer than a few. Suspects have as many tries again.
    struct Tries {
        private struct Count {
            /// Peers that have answered.
            var spent = 0
            /// Peers that were asked in this round.
            var asked = 0
        }

        private let limit: Int
        private let time: TimeAmount
        private var usable = Count()
        private var suspects = Count()
        /// A round ends with a peer that has sent part of a body.
        private var round = 1
        private var deadline: NIODeadline?
        private var isLate = false

        init(limit: Int, time: TimeAmount) {
            self.limit = limit
            self.time = time
        }

        /// Whether a peer that nobody has heard of yet could be asked.
        func allowAnother(inMidBody: Bool) -> Bool {
            !isLate || ((inMidBody || usable.spent < limit) && usable.asked < limit)
        }

        /// Whether a candidate may be asked.
        ///
        /// - Parameters:
        ///   - running: how many attempts are under way at others like it that have not answered.
        ///   - inMidBody: whether the client has got a part of the body. Then everybody is asked who was found.
        func allow(_ candidate: Candidate, beside running: Int, inMidBody: Bool) -> Bool {
            if candidate.hasAnswered || !isLate { return true }
            let count = candidate.standing == .suspect ? suspects : usable
            guard inMidBody || count.spent + running < limit else { return false }
            return count.asked < limit + (candidate.round == round ? 1 : 0)
        }

        /// A candidate is asked.
        mutating func ask(_ candidate: inout Candidate, now: NIODeadline) {
            if deadline == nil { deadline = now + time }
            guard candidate.round != round else { return }
            candidate.round = round
            count(candidate) { $0.asked += 1 }
        }

        /// A candidate has failed, and has answered.
        mutating func answered(_ candidate: inout Candidate) {
            guard !candidate.hasAnswered else { return }
            candidate.hasAnswered = true
            count(candidate) { $0.spent += 1 }
        }

        /// A candidate waited for so long for leave to be asked, which is not its fault.
        mutating func waited(_ time: TimeAmount, now: NIODeadline) {
            guard let before = deadline else { return }
            deadline = before + time
            isLate = false
            timePassed(now: now)
        }

        /// A peer has sent part of a body and failed.
        mutating func beginRound() {
            round += 1
            deadline = nil
            isLate = false
            usable.asked = 0
            suspects.asked = 0
        }

        mutating func timePassed(now: NIODeadline) {
            if let deadline, now >= deadline { isLate = true }
        }

        private mutating func count(_ candidate: Candidate, _ change: (inout Count) -> Void) {
            if candidate.standing == .suspect { change(&suspects) } else { change(&usable) }
        }
    }
}
