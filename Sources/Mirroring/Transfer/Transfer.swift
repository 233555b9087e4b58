import OCI
import Time

/// One mirrored request: which peer is asked when, what of its response reaches the client, and what happens when it
/// fails. Pure: each event is a method, takes the time, and returns the actions to carry out, in order.
///
/// The client gets exactly one of: a complete answer; an answer that is cut short after the last peer failed; 404 if no
/// peer sent a byte of the content; 503 if peers that may have it were busy or slow all the time.
///
/// States, by who decides:
/// - ``ProviderLookup``: deferred, starting, running, ended.
/// - ``Attempt/Phase`` of each attempt in flight: queued, connecting, waiting for the head, receiving, moving, verifying.
/// - ``Delivery/Verification``: none, held, trailing; fixed by the first byte of a body.
/// - ``BodyFlow/State``: streaming, throttled, paced, draining, moving, abandoned.
///
/// Policies: ``Candidates`` says whom to ask next, ``RetryBudget`` how many, ``Hedging`` when to ask one beside another.
///
/// The caller does not send a peer's response head before the first byte of the body, so that a peer that answers and
/// then stalls costs the client nothing. Content up to ``TransferLimits/checkedSize`` is held until its digest was
/// compared, so that a corrupt copy costs a request to the next peer. Larger content is hashed on its way where there
/// is reason to, and its last chunk is held: the client's answer is cut short, and it does not get the rest from a peer
/// that may be to blame.
package struct Transfer {
    package let request: TransferRequest
    let limits: TransferLimits
    let busyDeadline: MonotonicTime
    var lookup: ProviderLookup
    var candidates: Candidates
    var budget: RetryBudget
    var hedging: Hedging
    /// How often a slow peer was left alone for a while.
    var slowRetries = 0
    var attempts = Attempts()
    package internal(set) var delivery = Delivery()
    var flow = BodyFlow()
    /// The peer that was asked last, or whose body is being taken.
    package internal(set) var lastPeer: (id: String, address: PeerAddress)?
    /// The attempts that failed, in order.
    package internal(set) var failures: [FailedAttempt] = []
    private var reportedFailures = 0
    package private(set) var isFinished = false

    package init(_ request: TransferRequest, limits: TransferLimits, now: MonotonicTime) {
        self.request = request
        self.limits = limits
        candidates = Candidates(
            limit: max(limits.retries.providers, limits.retries.candidates),
            suspectLimit: limits.retries.providers
        )
        budget = RetryBudget(limit: limits.retries.providers, time: limits.retries.spareTime)
        hedging = Hedging(limit: limits.hedges, delay: limits.hedgeDelay)
        lookup = ProviderLookup(limits.lookup, now: now)
        busyDeadline = now + limits.retries.busyTimeout
    }

    /// When ``timePassed(now:isSlow:)`` must be called at the latest; `nil` if only an event can change anything.
    package var deadline: MonotonicTime? {
        guard !isFinished else { return nil }
        var earliest = attempts.deadline
        func consider(_ other: MonotonicTime) { earliest = earliest.map { min($0, other) } ?? other }
        if lookup.isOpen { consider(lookupEnd) }
        if let deferred = lookup.deferredUntil { consider(deferred) }
        if let hedgeAt = hedging.due(beside: attempts), nextIndex != nil { consider(hedgeAt) }
        if attempts.winner != nil, flow.isOpen, let next = flow.rate.nextSample { consider(next) }
        if attempts.isEmpty, let next = candidates.restEnds(ofSuspects: !mayFindMore) {
            consider(min(next, busyDeadline))
        }
        return earliest
    }

    /// How many providers the lookup has to find.
    package var lookupLimit: Int { candidates.limit + (lookup.isRepeated ? candidates.foundCount : 0) }

    /// Whether more providers are needed. If none of those found can be reached, a second lookup finds others.
    package var needsProviders: Bool {
        !isFinished && (lookup.isRepeated ? candidates.hasRoom : candidates.usableCount < limits.retries.providers)
    }

    /// How many hedged requests were sent.
    package var hedges: Int { hedging.count }

    /// The peer of an attempt in flight.
    package func peerID(of id: AttemptID) -> String? {
        index(of: id).map { attempts.running[$0].peerID }
    }

    /// The address at which a peer was asked last, as far as it is known.
    package func address(of peerID: String) -> PeerAddress? {
        if let lastPeer, lastPeer.id == peerID { return lastPeer.address }
        return failures.last { $0.peerID == peerID }?.address
    }

    /// Whether the peer that sent the body last has verified the content just before.
    package var isVerifiedByPeer: Bool { delivery.isCheckedByPeer }

    /// The failures since the last call.
    package mutating func takeNewFailures() -> ArraySlice<FailedAttempt> {
        defer { reportedFailures = failures.count }
        return failures[reportedFailures...]
    }

    /// The peers that could be reached at none of the addresses that were tried.
    ///
    /// - Parameter isSlow: whether a peer answered others meanwhile, so that it only took too long.
    package func unreachablePeers(isSlow: (_ peerID: String) -> Bool) -> [Peer] {
        let reached = Set(failures.filter { !$0.failure.isOfConnecting }.map(\.peerID))
        var unreachable: [Peer] = []
        for failed in failures where failed.failure.isOfConnecting {
            // The peer that was asked last may have answered since.
            guard failed.peerID != lastPeer?.id || delivery.content == nil else { continue }
            guard failed.failure != .connectTimeout || !isSlow(failed.peerID) else { continue }
            guard !reached.contains(failed.peerID), !unreachable.contains(where: { $0.id == failed.peerID }) else {
                continue
            }
            unreachable.append(failed.peer)
        }
        return unreachable
    }

    // MARK: The lookup

    /// Starts the transfer.
    ///
    /// - Parameter recent: a peer that gave a range of the content moments ago. It is asked first, and the lookup waits.
    package mutating func start(
        asking recent: (peer: Peer, standing: PeerStanding)? = nil,
        now: MonotonicTime
    ) -> [TransferAction] {
        guard let recent, !recent.standing.isSuspect else { return [.startLookup] }
        lookup.delay(until: now + limits.lookup.delay)
        return found(recent.peer, standing: recent.standing, now: now)
    }

    /// The lookup has its place and runs.
    package mutating func lookupStarted(now: MonotonicTime) {
        lookup.started(now: now)
        checkInvariants()
    }

    /// Providers were found, the best first.
    ///
    /// - Parameter mayCut: whether the lookup is still at work, and can be stopped.
    package mutating func found(
        _ peers: [(peer: Peer, standing: PeerStanding)],
        mayCut: Bool,
        now: MonotonicTime
    ) -> [TransferAction] {
        var actions: [TransferAction] = []
        for (peer, standing) in peers { actions += found(peer, standing: standing, now: now) }
        // The rest was only needed to choose among those that are found at once.
        if mayCut, lookup.isOpen, !isFinished, !needsProviders {
            lookup.cut()
            actions.append(.cutLookup)
        }
        return actions
    }

    mutating func found(
        _ peer: Peer,
        standing: PeerStanding = .trusted,
        now: MonotonicTime
    ) -> [TransferAction] {
        guard !isFinished, lookup.isOpen, candidates.add(peer, standing) else { return [] }
        return askNext(now: now)
    }

    /// The lookup found all that it can, or was cut.
    package mutating func lookupEnded(wasCut: Bool = false, now: MonotonicTime) -> [TransferAction] {
        guard !isFinished, lookup.isOpen else { return [] }
        lookup.ended(wasCut: wasCut)
        return askNext(now: now)
    }

    // MARK: The client and the clock

    /// The client has gone.
    package mutating func clientClosed() -> [TransferAction] {
        guard !isFinished else { return [] }
        return end(.clientGone, after: cancelAll())
    }

    /// Time passed.
    ///
    /// - Parameter isSlow: whether a peer that timed out answered others meanwhile.
    package mutating func timePassed(
        now: MonotonicTime,
        isSlow: (_ peerID: String) -> Bool = { _ in false }
    ) -> [TransferAction] {
        guard !isFinished else { return [] }
        var actions: [TransferAction] = []
        if lookup.isOpen, now >= lookupEnd {
            lookup.ended()
            actions.append(.cancelLookup)
        }
        if let deferred = lookup.deferredUntil, now >= deferred {
            lookup.start()
            actions.append(.startLookup)
        }
        for attempt in attempts.running {
            guard let deadline = attempt.deadline, now >= deadline, !isFinished else { continue }
            let failure: AttemptFailure? =
                switch attempt.phase {
                case .queued: .busy
                case .connecting: .connectTimeout
                case .waitingForHead: .headTimeout
                case .receiving: .progressTimeout
                case .moving, .verifying: nil
                }
            guard let failure else { continue }
            actions += failed(attempt.id, failure, isSlow: failure.isTimeout && isSlow(attempt.peerID), now: now)
        }
        return isFinished ? actions : actions + askNext(now: now)
    }

    // MARK: -

    func index(of id: AttemptID) -> Int? {
        isFinished ? nil : attempts.index(of: id)
    }

    func cancelAll() -> [TransferAction] {
        attempts.running.map { .cancel($0.id) }
    }

    /// - Parameter actions: what is to be done before.
    mutating func end(_ ending: TransferEnding, after actions: [TransferAction] = []) -> [TransferAction] {
        isFinished = true
        attempts.removeAll()
        candidates.removeAll()
        let lookupActions: [TransferAction] = lookup.isOpen ? [.cancelLookup] : []
        lookup.ended()
        checkInvariants()
        return lookupActions + actions + [.end(ending)]
    }

    /// What holds after each event.
    func checkInvariants() {
        assert(
            {
                attempts.checkInvariants()
                candidates.checkInvariants()
                delivery.checkInvariants()
                flow.checkInvariants(attempts)
                return !isFinished || (attempts.isEmpty && !lookup.isOpen)
            }()
        )
    }
}
