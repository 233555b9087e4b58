/// How the bytes of a body come to flow: as fast as the client takes them and the download rate allows, and past this
/// process where the kernel moves them.
struct BodyFlow {
    enum State: Equatable {
        /// The winning attempt is read as its bytes come. -> `throttled`, `paced`, `draining`
        case streaming
        /// The client takes no bytes; `pending` is read on when it does. -> `streaming`, `draining`
        case throttled(pending: AttemptID?)
        /// The download rate holds the peer back; `pending` is read on afterwards. -> `streaming`, `throttled`
        case paced(pending: AttemptID?)
        /// Nothing is read until all that was written has left; then the kernel takes over the attempt. Bytes that are
        /// written meanwhile (of the next peer, after a failure) restart the wait with another token, so that none can
        /// leave after what the kernel moves. -> `streaming`, `moving`, `draining`
        case draining(AttemptID, token: Int)
        /// The kernel moves the rest of the attempt's body. -> `streaming`, `abandoned`
        case moving(AttemptID)
        /// The client has gone while the kernel moved bytes; only their count is awaited.
        case abandoned(AttemptID)
    }

    var state = State.streaming
    /// How many bytes were read since the download rate was asked.
    var unpacedBytes = 0
    /// Whether the kernel may be asked to move bytes; it is not asked again once it could not.
    var mayMove = true
    /// How fast the body comes, and whether its provider is left for that.
    var rate = SourceRate()
    /// Whether the client or the download rate has stopped the flow since the last sample.
    var wasStopped = false
    private var lastToken = 0

    /// Whether bytes flow, so that a peer that sends none is to blame.
    var isOpen: Bool {
        switch state {
        case .streaming, .moving, .abandoned: true
        case .throttled, .paced, .draining: false
        }
    }

    var isDraining: Bool {
        if case .draining = state { true } else { false }
    }

    /// - Returns: the token of the wait.
    mutating func drain(for attempt: AttemptID) -> Int {
        lastToken += 1
        state = .draining(attempt, token: lastToken)
        return lastToken
    }

    func checkInvariants(_ attempts: Attempts) {
        assert(unpacedBytes >= 0)
        switch state {
        case .moving(let id), .abandoned(let id):
            let isMoving = attempts.running.contains { attempt in
                if case .moving = attempt.phase { attempt.id == id } else { false }
            }
            assert(isMoving || attempts.isEmpty)
        case .streaming, .throttled, .paced, .draining: break
        }
    }
}
