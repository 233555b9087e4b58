import Time

/// Back-pressure, the download rate, and the bytes that the kernel moves.
extension Transfer {
    /// The bytes of an attempt that had come were handed over; more can be read.
    ///
    /// - Parameter canMove: whether the kernel could move bytes now.
    package mutating func readable(_ id: AttemptID, canMove: Bool, now: MonotonicTime) -> [TransferAction] {
        guard index(of: id) != nil else { return [] }
        // Only the winner's bytes wait for the client.
        guard attempts.winner == id else { return [.read(id)] }
        let isMovable = movable(id) != nil
        guard flow.isDraining || (canMove && flow.mayMove && isMovable) else { return [.flush(id)] }
        let token = flow.drain(for: id)
        holdDeadlines(now: now)
        checkInvariants()
        return (isMovable && delivery.isHashed ? [.releaseLastChunk] : []) + [.drain(token: token)]
    }

    /// What was written was flushed.
    package mutating func flushed(_ id: AttemptID, clientIsWritable: Bool, now: MonotonicTime) -> [TransferAction] {
        guard !isFinished, attempts.winner == id else { return [] }
        if case .paced = flow.state {
            flow.state = .paced(pending: id)
            return []
        }
        guard limits.isPaced, flow.unpacedBytes > 0 else {
            return resume(id, clientIsWritable: clientIsWritable, now: now)
        }
        let bytes = flow.unpacedBytes
        flow.unpacedBytes = 0
        flow.state = .paced(pending: id)
        flow.wasStopped = true
        // No peer is to blame for the wait.
        holdDeadlines(now: now)
        checkInvariants()
        return [.pace(bytes)]
    }

    /// The bytes that were asked for of the download rate may go.
    package mutating func granted(clientIsWritable: Bool, now: MonotonicTime) -> [TransferAction] {
        guard !isFinished, case .paced(let pending) = flow.state else { return [] }
        return resume(pending, clientIsWritable: clientIsWritable, now: now)
    }

    /// The client takes bytes again, or no more.
    package mutating func clientWritable(_ isWritable: Bool, now: MonotonicTime) -> [TransferAction] {
        guard !isFinished else { return [] }
        switch flow.state {
        case .streaming: return isWritable ? [] : resume(nil, clientIsWritable: false, now: now)
        case .throttled(let pending): return isWritable ? resume(pending, clientIsWritable: true, now: now) : []
        case .paced, .draining, .moving, .abandoned: return []
        }
    }

    private mutating func resume(
        _ pending: AttemptID?,
        clientIsWritable: Bool,
        now: MonotonicTime
    ) -> [TransferAction] {
        defer { checkInvariants() }
        guard clientIsWritable else {
            flow.state = .throttled(pending: pending)
            flow.wasStopped = true
            holdDeadlines(now: now)
            return []
        }
        if flow.state != .streaming {
            flow.state = .streaming
            holdDeadlines(now: now)
        }
        guard let pending, index(of: pending) != nil else { return [] }
        return [.read(pending)]
    }

    /// No peer is blamed for sending nothing while nothing is read from it.
    private mutating func holdDeadlines(now: MonotonicTime) {
        for index in attempts.running.indices {
            guard case .receiving = attempts.running[index].phase else { continue }
            attempts.running[index].deadline = flow.isOpen ? now + limits.progressTimeout : nil
        }
    }

    // MARK: What the kernel moves

    /// How many bytes of an attempt's body are left, if the kernel may move them: none of them is dropped or held as a
    /// whole, and they are enough to be worth it. Hashed bodies are hashed on their way, and compared before their end
    /// leaves.
    func movable(_ id: AttemptID) -> Int64? {
        guard let index = index(of: id), attempts.winner == id, delivery.content != nil, !request.isHead,
            case .receiving(let promised, skip: 0) = attempts.running[index].phase
        else { return nil }
        if case .held = delivery.verification { return nil }
        let rest = delivery.rest(of: promised)
        return rest >= max(1, limits.splicedSize) ? rest : nil
    }

    /// All that was written when the drain was asked for has left.
    package mutating func drained(token: Int, now: MonotonicTime) -> [TransferAction] {
        guard !isFinished, case .draining(let id, token) = flow.state else { return [] }
        flow.state = .streaming
        holdDeadlines(now: now)
        checkInvariants()
        guard index(of: id) != nil else { return [] }
        return [movable(id).map { .move(id, count: $0) } ?? .read(id)]
    }

    /// The kernel moves the rest of an attempt's body. Until ``moved(_:bytes:end:canHash:now:)`` nothing else is reported
    /// of it.
    package mutating func moveStarted(_ id: AttemptID) {
        guard let index = index(of: id), case .receiving(let promised, _) = attempts.running[index].phase,
            attempts.winner == id
        else { return }
        attempts.running[index].phase = .moving(promised)
        attempts.running[index].deadline = nil
        flow.state = .moving(id)
        checkInvariants()
    }

    /// The kernel cannot move bytes, and none was moved.
    package mutating func moveRefused(_ id: AttemptID) -> [TransferAction] {
        flow.mayMove = false
        return index(of: id) == nil ? [] : [.read(id)]
    }

    /// The client has gone. If the kernel moves bytes it is stopped, and its count is awaited.
    ///
    /// - Returns: nothing if the kernel moves no bytes.
    package mutating func clientClosedWhileMoving() -> [TransferAction] {
        guard !isFinished, case .moving(let id) = flow.state else { return [] }
        flow.state = .abandoned(id)
        checkInvariants()
        return [.stopMoving(id)]
    }

    /// The kernel moved `bytes` to the client, and stopped.
    ///
    /// - Parameter canHash: whether what was moved can be hashed further.
    package mutating func moved(
        _ id: AttemptID,
        bytes: Int64,
        end: MoveEnd,
        canHash: Bool,
        isSlow: Bool = false,
        now: MonotonicTime
    ) -> [TransferAction] {
        guard let index = index(of: id), case .moving(let promised) = attempts.running[index].phase else { return [] }
        delivery.take(min(max(0, bytes), delivery.rest(of: promised)), from: lastPeer?.id)
        let isAbandoned = flow.state == .abandoned(id)
        flow.state = .streaming
        guard !isAbandoned || end == .complete else { return self.end(.clientGone, after: cancelAll()) }
        switch end {
        case .complete: return ended(id, now: now)
        case .corrupt: return verified(id, matches: false, now: now)
        case .clientFailed: return [.closeClient]
        case .sourceFailed, .stalled, .stopped: break
        }
        // What cannot be hashed further must not be completed, and no peer is to blame.
        if delivery.isHashed, !canHash { return self.end(.cutShort, after: cancelAll() + [.discardHeld]) }
        let failure: AttemptFailure =
            switch end {
            case .sourceFailed(let reason): .closed(reason)
            case .stalled: .progressTimeout
            default: attempts.running[index].isLeft ? .slow : .closed("called off")
            }
        return failed(id, failure, isSlow: isSlow && failure.isTimeout, now: now)
    }

    // MARK: The rate

    /// The attempt of which a sample of the rate is due.
    package func sampledAttempt(now: MonotonicTime) -> AttemptID? {
        guard !isFinished, flow.isOpen, let winner = attempts.winner, let due = flow.rate.nextSample, now >= due else {
            return nil
        }
        return winner
    }

    /// Takes a sample of how far an attempt has come, and leaves its peer if that is too slow; see ``SourceRate``.
    ///
    /// - Parameters:
    ///   - movedBytes: what the kernel has moved so far, if it moves the body.
    ///   - clientWasFull: whether the client did not take bytes from the kernel at once since the last sample.
    ///   - expected: the rate that is usual, in bytes per second.
    package mutating func sampled(
        _ id: AttemptID,
        movedBytes: Int64,
        clientWasFull: Bool,
        expected: Double,
        now: MonotonicTime
    ) -> [TransferAction] {
        guard let index = index(of: id), attempts.winner == id else { return [] }
        let promised: PromisedContent
        switch attempts.running[index].phase {
        case .receiving(let content, _), .moving(let content): promised = content
        case .queued, .connecting, .waitingForHead, .verifying:
            flow.rate.end()
            return []
        }
        let isHindered = clientWasFull || flow.wasStopped || limits.isPaced
        flow.wasStopped = !flow.isOpen
        let isSlow = flow.rate.sample(
            bytes: delivery.takenBytes + movedBytes,
            isHindered: isHindered,
            rest: delivery.rest(of: promised) - movedBytes,
            expected: expected,
            now: now
        )
        guard isSlow, hasAnotherSource, !attempts.running[index].isLeft else { return [] }
        if case .moving = attempts.running[index].phase {
            attempts.running[index].isLeft = true
            return [.leave(id)]
        }
        return failed(id, .slow, now: now)
    }

    /// The rate of the last provider, in bytes per second, as far as the provider was what limited it.
    package var measuredRate: Double? { flow.rate.measured }

    /// Whether another provider is known that could continue.
    private var hasAnotherSource: Bool {
        candidates.firstIndex { $0.standing == .trusted && !$0.wasLeft && $0.address != nil } != nil
    }
}
