internal import Multiformats
import Time

/// The requests and sends in flight, each with a deadline and one outcome.
extension KademliaMachine {
    struct Operation: Sendable {
        enum Purpose: Sendable {
            case admission
            case lookup(LookupID)
            case send(keys: Int, RecordUpdate.Kind)
        }

        var peer: PeerInfo
        var purpose: Purpose
        /// The expected kind of the reply.
        var kind: Message.Kind?
    }

    @discardableResult
    mutating func request(
        _ message: Message,
        to peer: PeerInfo,
        for purpose: Operation.Purpose,
        now: MonotonicTime
    ) -> OperationID {
        let id = OperationID(number: makeNumber())
        operations[id] = Operation(peer: peer, purpose: purpose, kind: message.kind)
        setTimer(.operation(id), at: now + configuration.requestTimeout)
        statistics.requests += 1
        emit(.request(id, message, to: peer))
        return id
    }

    // MARK: - Outcomes

    /// Takes the reply to a request. Ignores an unexpected one.
    public mutating func received(_ reply: Message, for id: OperationID, now: MonotonicTime) {
        guard let operation = operations[id], let kind = operation.kind else { return }
        guard reply.kind == kind else { return failed(id, now: now) }
        operations[id] = nil
        switch operation.purpose {
        case .admission: admissionSucceeded(operation.peer, now: now)
        case .lookup(let lookup):
            met(operation.peer, now: now)
            received(reply, from: operation.peer, of: id, in: lookup, now: now)
        case .send: break
        }
        settle(now: now)
    }

    /// Records that the peer accepted a record update.
    public mutating func sent(_ id: OperationID, now: MonotonicTime) {
        guard let operation = operations[id], case .send(let keys, let kind) = operation.purpose else { return }
        operations[id] = nil
        table.seen(operation.peer.id, now: now)
        statistics.updatesSent += 1
        switch kind {
        case .announce: statistics.recordsSent += keys
        case .withdraw: statistics.withdrawalsSent += keys
        case .leave: break
        }
        sendNext(to: operation.peer.id, now: now)
        settle(now: now)
    }

    /// Records the failure of an operation: the peer was unreachable, timed out, or sent a wrong reply.
    public mutating func failed(_ id: OperationID, now: MonotonicTime) {
        guard let operation = operations.removeValue(forKey: id) else { return }
        switch operation.purpose {
        case .admission:
            statistics.failedRequests += 1
            admissionFailed(operation.peer, now: now)
        case .lookup(let lookup):
            statistics.failedRequests += 1
            peerFailed(operation.peer, now: now)
            requestFailed(to: operation.peer, of: id, in: lookup, now: now)
        case .send(let keys, let kind):
            if kind == .announce { statistics.recordsFailed += keys }
            peerFailed(operation.peer, now: now)
        }
        settle(now: now)
    }

    // MARK: - Sends

    mutating func pumpSends(now: MonotonicTime) {
        for peer in outbox.start(limit: configuration.maximumConcurrentSends) { sendNext(to: peer, now: now) }
    }

    /// Sends a peer its next waiting keys, if there are any.
    private mutating func sendNext(to id: PeerID, now: MonotonicTime) {
        while let next = outbox.next(for: id, limit: configuration.sendBatchSize) {
            // Skips keys that were withdrawn, or provided again, since they were queued.
            let keys =
                switch next.kind {
                case .announce: next.keys.filter { own.contains($0) }
                case .withdraw: next.keys.filter { !own.contains($0) }
                case .leave: [Key]()
                }
            guard !keys.isEmpty || next.kind == .leave else { continue }
            let operation = OperationID(number: makeNumber())
            operations[operation] = Operation(peer: next.peer, purpose: .send(keys: keys.count, next.kind))
            setTimer(.operation(operation), at: now + configuration.requestTimeout)
            outbox.began(operation, to: id)
            let update = RecordUpdate(
                kind: next.kind,
                keys: keys,
                provider: localInfo,
                timeToLive: configuration.providerStore.timeToLive
            )
            emit(.send(operation, update, to: next.peer))
            return
        }
    }
}
