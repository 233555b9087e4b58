internal import Multiformats

/// The queues of record updates by peer, so that a slow peer delays no other.
///
/// Keys are queued in batches that peers share: a thousand keys for twenty peers are one array.
struct Outbox: Sendable {
    private struct Batch: Sendable {
        var kind: RecordUpdate.Kind
        var keys: [Key]
    }

    private struct Queue: Sendable {
        var peer: PeerInfo
        var batches: [Batch] = []
        var firstBatch = 0
        /// The number of keys of the first batch that are sent.
        var offset = 0
        var count = 0
        var isActive = false
        /// The send in flight.
        var operation: KademliaMachine.OperationID?
        var isEmpty: Bool { firstBatch == batches.count }
    }

    private var queues: [PeerID: Queue] = [:]
    /// Peers with a queue and without a send in flight, in order of arrival. May have stale entries.
    private var ready: [PeerID] = []
    private(set) var activeCount = 0
    /// The number of waiting records.
    private(set) var pendingCount = 0

    /// Whether nothing waits and no send is in flight.
    var isIdle: Bool { queues.isEmpty }

    /// Queues keys for a peer.
    mutating func enqueue(_ kind: RecordUpdate.Kind, _ keys: [Key], for peer: PeerInfo) {
        guard !keys.isEmpty || kind == .leave else { return }
        var queue = queues[peer.id] ?? Queue(peer: peer)
        if queue.isEmpty, !queue.isActive { ready.append(peer.id) }
        queue.peer = peer
        queue.batches.append(Batch(kind: kind, keys: keys))
        queue.count += keys.count
        pendingCount += keys.count
        queues[peer.id] = queue
    }

    /// Starts sending: returns the peers to send to, up to `limit` at a time.
    mutating func start(limit: Int) -> [PeerID] {
        guard !ready.isEmpty else { return [] }
        var started: [PeerID] = []
        var position = 0
        while position < ready.count, activeCount < limit {
            let id = ready[position]
            position += 1
            guard let queue = queues[id], !queue.isActive, !queue.isEmpty else { continue }
            queues[id]?.isActive = true
            activeCount += 1
            started.append(id)
        }
        ready.removeFirst(position)
        return started
    }

    /// The next keys for a peer; `nil` ends sending to it.
    mutating func next(for id: PeerID, limit: Int) -> (peer: PeerInfo, kind: RecordUpdate.Kind, keys: [Key])? {
        guard var queue = queues[id], queue.isActive else { return nil }
        guard !queue.isEmpty else {
            drop(id)
            return nil
        }
        let batch = queue.batches[queue.firstBatch]
        let keys = Array(batch.keys.dropFirst(queue.offset).prefix(limit))
        queue.offset += keys.count
        queue.count -= keys.count
        pendingCount -= keys.count
        if queue.offset == batch.keys.count {
            queue.batches[queue.firstBatch].keys = []
            queue.firstBatch += 1
            queue.offset = 0
        }
        if queue.isEmpty {
            queue.batches = []
            queue.firstBatch = 0
        }
        queues[id] = queue
        return (queue.peer, batch.kind, keys)
    }

    /// Records the send in flight to a peer.
    mutating func began(_ operation: KademliaMachine.OperationID, to id: PeerID) {
        queues[id]?.operation = operation
    }

    /// The send in flight to a peer.
    func operation(of id: PeerID) -> KademliaMachine.OperationID? { queues[id]?.operation }

    /// Drops the queue of a peer.
    mutating func drop(_ id: PeerID) {
        guard let queue = queues.removeValue(forKey: id) else { return }
        pendingCount -= queue.count
        if queue.isActive { activeCount -= 1 }
    }

    /// Drops the queues of all peers. Sends in flight continue.
    mutating func dropWaiting() {
        ready = []
        pendingCount = 0
        for (id, queue) in queues {
            guard queue.isActive else {
                queues[id] = nil
                continue
            }
            queues[id]?.batches = []
            queues[id]?.firstBatch = 0
            queues[id]?.offset = 0
            queues[id]?.count = 0
        }
    }

    // MARK: - Invariants

    /// Checks that the counts agree with the queues, and that no queue is forgotten.
    ///
    /// - Parameter isInFlight: whether a send is in flight.
    /// - Returns: what does not hold; `nil` if all does. Takes linear time.
    func checkInvariants(isInFlight: (KademliaMachine.OperationID, PeerID) -> Bool) -> String? {
        if queues.values.count(where: \.isActive) != activeCount { return "outbox: sends are miscounted" }
        if queues.values.reduce(0, { $0 + $1.count }) != pendingCount { return "outbox: records are miscounted" }
        let waiting = Set(ready)
        for (id, queue) in queues {
            let keys = queue.batches.dropFirst(queue.firstBatch).reduce(0) { $0 + $1.keys.count }
            if keys - queue.offset != queue.count { return "outbox: the records of a peer are miscounted" }
            if queue.isActive {
                guard let operation = queue.operation, isInFlight(operation, id) else {
                    return "outbox: nothing is sent from an active queue"
                }
            } else if queue.isEmpty || !waiting.contains(id) {
                return "outbox: a queue has no turn"
            }
        }
        return nil
    }
}
