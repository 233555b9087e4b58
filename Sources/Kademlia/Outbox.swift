internal import Multiformats

/// What waits to be told to the holders of own records, peer by peer, so that a slow peer delays nobody but itself.
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
        /// Keys of the first batch that are sent.
        var offset = 0
        var count = 0
        var isActive = false
        /// The send under way.
        var operation: KademliaMachine.OperationID?
        var isEmpty: Bool { firstBatch == batches.count }
    }

    private var queues: [PeerID: Queue] = [:]
    /// Peers that have something and are not being sent to, in order of arrival. May hold stale entries.
    private var ready: [PeerID] = []
    private(set) var activeCount = 0
    /// How many records wait in all.
    private(set) var pendingCount = 0

    /// Whether nothing waits and nothing is being sent.
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

    /// The peers to begin to send to, such that at most `limit` are sent to at a time.
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

    /// The next keys for a peer that is being sent to; nil, which ends the sending, when there are none.
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

    /// Notes the send that is under way to a peer.
    mutating func began(_ operation: KademliaMachine.OperationID, to id: PeerID) {
        queues[id]?.operation = operation
    }

    /// The send under way to a peer.
    func operation(of id: PeerID) -> KademliaMachine.OperationID? { queues[id]?.operation }

    /// Forgets what waits for a peer, as when it is gone.
    mutating func drop(_ id: PeerID) {
        guard let queue = queues.removeValue(forKey: id) else { return }
        pendingCount -= queue.count
        if queue.isActive { activeCount -= 1 }
    }

    /// Forgets what waits for all peers; what is being sent goes on.
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
}
