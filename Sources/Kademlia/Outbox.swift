internal import Multiformats

/// The records that wait to be sent, peer by peer, so that a slow peer delays nobody but itself.
///
/// Keys are queued in batches that peers share: a thousand keys for twenty peers are one array.
struct Outbox: Sendable {
    private struct Queue: Sendable {
        var peer: PeerInfo
        var batches: [[Key]] = []
        var firstBatch = 0
        /// Keys of the first batch that are sent.
        var offset = 0
        var count = 0
        var isActive = false
    }

    private var queues: [PeerID: Queue] = [:]
    /// Peers that have keys and are not being sent to, in order of arrival. May hold stale entries.
    private var ready: [PeerID] = []
    private var activeCount = 0
    /// How many records wait in all.
    private(set) var pendingCount = 0

    /// Queues keys for a peer.
    mutating func enqueue(_ keys: [Key], for peer: PeerInfo) {
        guard !keys.isEmpty else { return }
        var queue = queues[peer.id] ?? Queue(peer: peer)
        if queue.count == 0, !queue.isActive { ready.append(peer.id) }
        queue.peer = peer
        queue.batches.append(keys)
        queue.count += keys.count
        pendingCount += keys.count
        queues[peer.id] = queue
    }

    /// The peers to begin to send to, such that at most `limit` are sent to at a time.
    mutating func start(limit: Int) -> [PeerID] {
        var started: [PeerID] = []
        var position = 0
        while position < ready.count, activeCount < limit {
            let id = ready[position]
            position += 1
            guard let queue = queues[id], !queue.isActive, queue.count > 0 else { continue }
            queues[id]?.isActive = true
            activeCount += 1
            started.append(id)
        }
        ready.removeFirst(position)
        return started
    }

    /// The next keys for a peer that is being sent to; nil, which ends the sending, when there are none.
    mutating func next(for id: PeerID, limit: Int) -> (peer: PeerInfo, keys: [Key])? {
        guard var queue = queues[id], queue.isActive else { return nil }
        guard queue.count > 0, queue.firstBatch < queue.batches.count else {
            drop(id)
            return nil
        }
        let batch = queue.batches[queue.firstBatch]
        let keys = Array(batch[queue.offset...].prefix(limit))
        queue.offset += keys.count
        queue.count -= keys.count
        pendingCount -= keys.count
        if queue.offset == batch.count {
            queue.batches[queue.firstBatch] = []
            queue.firstBatch += 1
            queue.offset = 0
        }
        if queue.count == 0 {
            queue.batches = []
            queue.firstBatch = 0
        }
        queues[id] = queue
        return (queue.peer, keys)
    }

    /// Forgets what waits for a peer, as when it is gone.
    mutating func drop(_ id: PeerID) {
        guard let queue = queues.removeValue(forKey: id) else { return }
        pendingCount -= queue.count
        if queue.isActive { activeCount -= 1 }
    }
}
