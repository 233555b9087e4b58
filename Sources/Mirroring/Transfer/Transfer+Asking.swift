import Time

/// The next step when something changed: ask another peer, look again, wait, or end.
extension Transfer {
    /// Asks another peer if none is being asked, or beside those that are slow. Ends the transfer if no peer is left.
    mutating func askNext(now: MonotonicTime) -> [TransferAction] {
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
    var mayFindMore: Bool { lookup.isOpen && mayAskAnother }

    /// Whether a peer that is not yet found could be asked.
    private var mayAskAnother: Bool {
        candidates.hasRoom && budget.allowsAnother(inMidBody: delivery.content != nil)
    }

    /// Whether a second lookup may help: if the client has part of the body, since other peers may have the content by
    /// now, and if the first lookup was cut.
    private var mayLookAgain: Bool {
        !lookup.isOpen && !lookup.isRepeated && mayAskAnother && (delivery.content != nil || lookup.wasCut)
    }

    var lookupEnd: MonotonicTime { lookup.end(hasProviders: candidates.usableCount > 0) }

    /// The place of the candidate to ask next, if one can be asked now.
    var nextIndex: Int? {
        candidates.firstIndex { candidate in
            let isSuspect = candidate.standing.isSuspect
            guard !isSuspect || !mayFindMore else { return false }
            let running = attempts.running.count {
                !$0.candidate.hasAnswered && $0.candidate.standing.isSuspect == isSuspect
            }
            return budget.allows(candidate, beside: running, inMidBody: delivery.content != nil)
        }
    }

    mutating func ask(
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
        let check = check(candidate, part)
        attempts.running.append(
            Attempt(
                id: id,
                candidate: candidate,
                address: address,
                part: part,
                wantsCheck: check.isAsked,
                mustBeChecked: check.isRequired,
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
                wantsCheck: check.isAsked
            )
        )
    }

    /// Whether a peer is asked to verify the content before it sends it, and whether it is refused if it does not.
    private func check(_ candidate: Candidate, _ part: RequestedPart) -> (isAsked: Bool, isRequired: Bool) {
        guard !request.isHead else { return (false, false) }
        // What is not hashed from its first byte on cannot be verified here.
        let isHashedHere = part == .whole || delivery.isHashed
        return switch candidate.standing {
        case .trusted: (false, false)
        case .distrusted: (!isHashedHere, !isHashedHere)
        case .doubted: (true, false)
        case .suspect: (true, !(isHashedHere && candidate.cannotVerify))
        case .banned: (true, true)
        }
    }
}
