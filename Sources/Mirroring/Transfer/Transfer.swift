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
    private let busyDeadline: MonotonicTime
    private var lookup: ProviderLookup
    private var candidates: Candidates
    private var budget: RetryBudget
    private var hedging: Hedging
    /// How often a slow peer was left alone for a while.
    private var slowRetries = 0
    var attempts = Attempts()
    package internal(set) var delivery = Delivery()
    var flow = BodyFlow()
    /// The peer that was asked last, or whose body is being taken.
    package private(set) var lastPeer: (id: String, address: PeerAddress)?
    /// The attempts that failed, in order.
    package private(set) var failures: [FailedAttempt] = []
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
        guard let recent, recent.standing < .suspect else { return [.startLookup] }
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

    // MARK: Attempts

    /// The peer of an attempt that has only started timed out moments ago: it has less time for its head.
    package mutating func hurry(_ id: AttemptID) {
        guard let index = index(of: id), case .connecting = attempts.running[index].phase else { return }
        attempts.running[index].isHurried = true
    }

    /// An attempt waits for a permit.
    package mutating func queued(_ id: AttemptID) {
        guard let index = index(of: id), case .connecting = attempts.running[index].phase else { return }
        attempts.running[index].phase = .queued
        attempts.running[index].deadline = busyDeadline
        attempts.running[index].hedgeAt = .distantFuture
        checkInvariants()
    }

    /// An attempt that waited has its permit.
    package mutating func permitted(_ id: AttemptID, now: MonotonicTime) {
        guard let index = index(of: id), case .queued = attempts.running[index].phase else { return }
        attempts.running[index].phase = .connecting
        budget.waited(now - attempts.running[index].started, now: now)
        attempts.running[index].askedAt = now
        attempts.running[index].deadline = now + limits.connectTimeout
        attempts.running[index].hedgeAt = hedging.next(afterAttempt: index + 1, now: now)
        checkInvariants()
    }

    /// The connection of an attempt is there, and the request was sent.
    package mutating func connected(_ id: AttemptID, reused: Bool, now: MonotonicTime) {
        guard let index = index(of: id), case .connecting = attempts.running[index].phase else { return }
        attempts.running[index].phase = .waitingForHead(reused: reused)
        var limit =
            attempts.running[index].mustBeChecked ? max(limits.headTimeout, limits.checkTimeout) : limits.headTimeout
        if attempts.running[index].isHurried { limit = min(limit, limits.hurriedHeadTimeout) }
        attempts.running[index].deadline = now + limit
        checkInvariants()
    }

    /// The response head of an attempt came.
    package mutating func received(
        _ response: PeerResponse,
        of id: AttemptID,
        now: MonotonicTime
    ) -> [TransferAction] {
        guard let index = index(of: id), case .waitingForHead = attempts.running[index].phase else { return [] }
        let part = attempts.running[index].part
        if response.isBusy { return failed(id, .busy, now: now) }
        if let size = response.unsatisfiableSize(asked: part, known: request.size) {
            return end(.rangeNotSatisfiable(size: size), after: cancelAll())
        }
        do throws(PeerRefusal) {
            let (content, skip) = try response.content(asked: part, for: request)
            guard response.isChecked || !attempts.running[index].mustBeChecked else { throw PeerRefusal.unchecked }
            attempts.running[index].phase = .receiving(content, skip: skip)
            attempts.running[index].deadline = flow.isOpen ? now + limits.progressTimeout : nil
            checkInvariants()
            return []
        } catch {
            return failed(id, .refused(error), now: now)
        }
    }

    /// `count` bytes of the body of an attempt came.
    package mutating func received(bytes count: Int, of id: AttemptID, now: MonotonicTime) -> ChunkDecision {
        guard let index = index(of: id), case .receiving(let promised, let skip) = attempts.running[index].phase,
            count > 0
        else { return .drop }
        var actions: [TransferAction] = []
        if let askedAt = attempts.running[index].askedAt {
            attempts.running[index].askedAt = nil
            actions.append(.firstByte(peerID: attempts.running[index].peerID, after: now - askedAt))
        }
        actions += choose(id)
        if flow.isOpen { attempts.running[0].deadline = now + limits.progressTimeout }
        let dropped = min(skip, Int64(count))
        if dropped > 0 { attempts.running[0].phase = .receiving(promised, skip: skip - dropped) }
        let useful = Int64(count) - dropped
        guard useful > 0 else { return ChunkDecision(use: .drop, actions: actions) }
        guard !request.isHead, useful <= delivery.rest(of: promised) else {
            return ChunkDecision(use: .drop, actions: actions + failed(id, .tooLong, now: now))
        }
        if delivery.isUntouched {
            delivery.begin(verification(of: promised, from: attempts.running[0].candidate.standing))
        }
        delivery.take(useful, from: lastPeer?.id)
        flow.unpacedBytes += Int(useful)
        defer { checkInvariants() }
        switch delivery.verification {
        case .held: return ChunkDecision(use: .hold(promised, dropFirst: Int(dropped)), actions: actions)
        case .none, .trailing:
            let head = delivery.promise(promised)
            return ChunkDecision(use: .forward(head: head, dropFirst: Int(dropped)), actions: actions)
        }
    }

    /// There is no room to hold the content: it is written at once, but for its last chunk.
    ///
    /// - Returns: the head to send first.
    package mutating func cannotHold(_ promised: PromisedContent) -> PromisedContent? {
        delivery.begin(.trailing)
        return delivery.promise(promised)
    }

    /// The response of an attempt came to its end.
    package mutating func ended(_ id: AttemptID, now: MonotonicTime) -> [TransferAction] {
        guard let index = index(of: id) else { return [] }
        let promised: PromisedContent
        let isMoved: Bool
        switch attempts.running[index].phase {
        case .receiving(let content, _): (promised, isMoved) = (content, false)
        case .moving(let content): (promised, isMoved) = (content, true)
        case .queued, .connecting, .waitingForHead, .verifying:
            return failed(id, .malformed("no response head"), now: now)
        }
        guard isComplete(promised) else { return failed(id, .closed("body incomplete"), now: now) }
        let losers = choose(id)
        guard !delivery.isHashed || isMoved else { return losers + verify(promised) }
        let head: [TransferAction] = delivery.promise(promised).map { [.sendHead($0)] } ?? []
        return end(.complete, after: losers + [.release(id)] + head)
    }

    /// The digest of what was taken was compared. The kernel's comparison is reported only if it fails.
    package mutating func verified(_ id: AttemptID, matches: Bool, now: MonotonicTime) -> [TransferAction] {
        guard let index = index(of: id) else { return [] }
        let promised: PromisedContent
        switch attempts.running[index].phase {
        case .verifying(let content): promised = content
        case .moving(let content) where !matches: promised = content
        default: return []
        }
        if matches {
            let head: [TransferAction] = delivery.promise(promised).map { [.sendHead($0)] } ?? []
            return end(.complete, after: [.release(id)] + head + [.sendHeld])
        }
        // Of several peers at least one is to blame, and which cannot be known.
        let isClear = delivery.sources.count == 1
        let blame: [TransferAction] =
            promised.digest.map { digest in
                delivery.sources.map { isClear ? .ban(peerID: $0, digest) : .suspect(peerID: $0, digest) }
            } ?? []
        return blame + failed(id, .corrupt, now: now)
    }

    /// An attempt failed; its connection is or will be closed.
    ///
    /// - Parameter isSlow: whether the peer, if it timed out, answered others meanwhile. It is then asked again, as a busy
    ///   one is.
    package mutating func failed(
        _ id: AttemptID,
        _ failure: AttemptFailure,
        isSlow: Bool = false,
        now: MonotonicTime
    ) -> [TransferAction] {
        guard !isFinished, let index = index(of: id) else { return [] }
        if attempts.winner == id, case .trailing = delivery.verification,
            case .receiving(let promised, _) = attempts.running[index].phase, isComplete(promised)
        {
            // All bytes came; what is left is to verify them.
            return verify(promised)
        }
        var (attempt, wasWinner) = attempts.remove(at: index)
        let cancel = TransferAction.cancel(id)
        var discard: [TransferAction] = []
        if wasWinner {
            budget.startRound()
            if case .moving(id) = flow.state { flow.state = .streaming }
            if failure != .corrupt, !delivery.isHashed, let content = delivery.content, isComplete(content) {
                return end(.complete, after: [cancel])
            }
            switch delivery.verification {
            case .none: break
            case .held:
                // Nothing was sent, so the next peer starts anew.
                delivery.dropHeld()
                discard = [.discardHeld]
            case .trailing:
                // What was sent is part of wrong content, and no peer can make it right.
                if failure == .corrupt {
                    record(attempt, failure)
                    return end(.cutShort, after: [cancel, .discardHeld])
                }
            }
        }
        if case .waitingForHead(reused: true) = attempt.phase, case .closed = failure {
            // The peer closed an idle connection just as it was used, which says nothing about the peer.
            return [cancel, ask(attempt.candidate, at: attempt.address, mayReuse: false, now: now)]
        }
        if !attempt.isUnanswered(failure) { budget.answered(&attempt.candidate) }
        retryLater(attempt, failure, isSlow: isSlow, now: now)
        if failure.isTimeout, !wasWinner { attempts.hedgeNow(now) }
        return [cancel] + discard + askNext(now: now)
    }

    /// Puts a peer that failed where it may be asked again: at another address, or after a rest.
    private mutating func retryLater(_ attempt: Attempt, _ failure: AttemptFailure, isSlow: Bool, now: MonotonicTime) {
        var candidate = attempt.candidate
        let otherAddress = failure == .busy ? nil : attempt.nextAddress(limit: limits.retries.addressesPerPeer)
        // Another address comes before a rest.
        let isSlow = isSlow && failure.isTimeout && otherAddress == nil && slowRetries < limits.retries.slowRetries
        if isSlow {
            slowRetries += 1
            if failure == .connectTimeout { candidate.addressIndex = 0 }
        }
        let isKnownBusy = failures.contains { $0.failure == .busy && $0.peerID == attempt.peerID }
        if failure != .busy || !isKnownBusy { record(attempt, failure) }
        if failure == .busy || isSlow { candidates.rest(candidate, until: now + limits.retries.backoff) }
        if let otherAddress {
            // A peer that refuses at one address may answer at another at once. One that timed out comes last.
            if failure == .connectTimeout {
                candidates.enqueue(otherAddress)
            } else {
                candidates.putFirst(otherAddress)
            }
        }
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

    /// Makes an attempt the one whose body goes to the client; the others are cancelled.
    private mutating func choose(_ id: AttemptID) -> [TransferAction] {
        guard attempts.winner != id, let index = attempts.index(of: id) else { return [] }
        let chosen = attempts.running[index]
        lastPeer = (chosen.peerID, chosen.address)
        delivery.isCheckedByPeer = chosen.mustBeChecked
        let losers = attempts.choose(chosen)
        // A peer that was only slower may serve if the winner fails.
        for loser in losers { candidates.enqueue(loser.candidate) }
        return losers.map { .cancel($0.id) }
    }

    /// How content is verified on its way. Only content whose digest is known and that comes as a whole can be.
    private func verification(of promised: PromisedContent, from standing: PeerStanding) -> Delivery.Verification {
        guard promised.digest != nil, promised.isWhole else { return .none }
        if promised.size <= limits.checkedSize { return .held }
        return request.mustHash || standing > .trusted ? .trailing : .none
    }

    /// The winner's body is complete: its digest is compared next.
    private mutating func verify(_ promised: PromisedContent) -> [TransferAction] {
        guard let winner = attempts.winner, !attempts.running.isEmpty else { return [] }
        attempts.running[0].phase = .verifying(promised)
        attempts.running[0].deadline = nil
        checkInvariants()
        return [.verify(winner, promised)]
    }

    /// Whether a peer must verify the content before it sends it.
    private func mustBeChecked(_ candidate: Candidate, _ part: RequestedPart) -> Bool {
        guard !request.isHead else { return false }
        return switch candidate.standing {
        case .trusted: false
        // What is not hashed from its first byte on cannot be verified here.
        case .distrusted: part != .whole && !delivery.isHashed
        case .suspect, .banned: true
        }
    }

    private mutating func record(_ attempt: Attempt, _ failure: AttemptFailure) {
        failures.append(FailedAttempt(peerID: attempt.peerID, address: attempt.address, failure: failure))
    }

    private func isComplete(_ content: PromisedContent) -> Bool {
        request.isHead || delivery.rest(of: content) == 0
    }

    /// Asks another peer if none is being asked, or beside those that are slow. Ends the transfer if no peer is left.
    private mutating func askNext(now: MonotonicTime) -> [TransferAction] {
        defer { checkInvariants() }
        budget.timePassed(now: now)
        var actions: [TransferAction] = []
        if lookup.deferredUntil != nil, !failures.isEmpty {
            lookup.start()
            actions.append(.startLookup)
        }
        if !attempts.isEmpty {
            guard let hedgeAt = hedging.due(beside: attempts), now >= hedgeAt else { return actions }
        }
        while let index = nextIndex {
            let candidate = candidates.take(at: index)
            guard let address = candidate.address else { continue }
            if !attempts.isEmpty { hedging.spend() }
            return actions + [ask(candidate, at: address, mayReuse: true, now: now)]
        }
        guard attempts.isEmpty else { return actions }
        let mayWait = now < busyDeadline
        while mayWait, let candidate = candidates.takeRested(suspects: !mayFindMore, now: now) {
            guard let address = candidate.address else { continue }
            return actions + [ask(candidate, at: address, mayReuse: true, now: now)]
        }
        guard !mayFindMore else { return actions }
        if mayLookAgain {
            lookup.repeats(now: now)
            return actions + [.startLookup]
        }
        if candidates.isRestingEmpty { return actions + end(delivery.content == nil ? absence : .cutShort) }
        return mayWait ? actions : actions + end(delivery.content == nil ? .unavailable : .cutShort)
    }

    /// What is said if no peer has the content. A lookup that never ran says nothing of it.
    private var absence: TransferEnding { lookup.hasRun ? .notFound : .overloaded }

    /// Whether the lookup may find another peer that can be asked.
    private var mayFindMore: Bool { lookup.isOpen && mayAskAnother }

    /// Whether a peer that is not yet found could be asked.
    private var mayAskAnother: Bool {
        candidates.hasRoom && budget.allowsAnother(inMidBody: delivery.content != nil)
    }

    /// Whether a second lookup may help: if the client has part of the body, since other peers may have the content by
    /// now, and if the first lookup was cut.
    private var mayLookAgain: Bool {
        !lookup.isOpen && !lookup.isRepeated && mayAskAnother && (delivery.content != nil || lookup.wasCut)
    }

    private var lookupEnd: MonotonicTime { lookup.end(hasProviders: candidates.usableCount > 0) }

    /// The place of the candidate to ask next, if one can be asked now.
    private var nextIndex: Int? {
        candidates.firstIndex { candidate in
            let isSuspect = candidate.standing == .suspect
            guard !isSuspect || !mayFindMore else { return false }
            let running = attempts.running.count {
                !$0.candidate.hasAnswered && ($0.candidate.standing == .suspect) == isSuspect
            }
            return budget.allows(candidate, beside: running, inMidBody: delivery.content != nil)
        }
    }

    private mutating func ask(
        _ candidate: Candidate,
        at address: PeerAddress,
        mayReuse: Bool,
        now: MonotonicTime
    ) -> TransferAction {
        var candidate = candidate
        budget.asked(&candidate, now: now)
        lastPeer = (candidate.peer.id, address)
        let part: RequestedPart =
            if let content = delivery.content {
                .rest(of: content, from: content.range.lowerBound + delivery.takenBytes)
            } else if let range = request.range {
                .range(range)
            } else {
                .whole
            }
        let id = attempts.nextID()
        let mustBeChecked = mustBeChecked(candidate, part)
        attempts.running.append(
            Attempt(
                id: id,
                candidate: candidate,
                address: address,
                part: part,
                mustBeChecked: mustBeChecked,
                started: now,
                askedAt: now,
                deadline: now + limits.connectTimeout,
                hedgeAt: hedging.next(afterAttempt: attempts.running.count + 1, now: now)
            )
        )
        return .ask(
            PeerRequest(
                attempt: id,
                peerID: candidate.peer.id,
                address: address,
                part: part,
                mayReuse: mayReuse,
                mustBeChecked: mustBeChecked
            )
        )
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
