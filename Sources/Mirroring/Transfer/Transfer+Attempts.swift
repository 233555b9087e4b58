import Time

/// The events of attempts, from the permit to the comparison of the digest or the failure.
extension Transfer {
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
            attempts.running[index].wantsCheck ? max(limits.headTimeout, limits.checkTimeout) : limits.headTimeout
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
            attempts.running[index].isChecked = response.isChecked && attempts.running[index].wantsCheck
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
        actions += choose(id, now: now)
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
        let losers = choose(id, now: now)
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
            flow.rate.end(wasLeft: failure == .slow)
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
        if failure == .refused(.unchecked), attempt.part == .whole, !candidate.cannotVerify {
            candidate.cannotVerify = true
            candidates.enqueue(candidate)
        }
        if failure == .slow {
            candidate.wasLeft = true
            candidates.putLast(candidate)
        }
        if let otherAddress {
            // A peer that refuses at one address may answer at another at once. One that timed out comes last.
            if failure == .connectTimeout {
                candidates.enqueue(otherAddress)
            } else {
                candidates.putFirst(otherAddress)
            }
        }
    }
    // MARK: -

    /// Makes an attempt the one whose body goes to the client; the others are cancelled.
    private mutating func choose(_ id: AttemptID, now: MonotonicTime) -> [TransferAction] {
        guard attempts.winner != id, let index = attempts.index(of: id) else { return [] }
        let chosen = attempts.running[index]
        lastPeer = (chosen.peerID, chosen.address)
        flow.rate.begin(bytes: delivery.takenBytes, now: now)
        flow.wasStopped = false
        delivery.isCheckedByPeer = chosen.isChecked
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

    private mutating func record(_ attempt: Attempt, _ failure: AttemptFailure) {
        failures.append(FailedAttempt(peerID: attempt.peerID, address: attempt.address, failure: failure))
    }

    private func isComplete(_ content: PromisedContent) -> Bool {
        request.isHead || delivery.rest(of: content) == 0
    }
}
