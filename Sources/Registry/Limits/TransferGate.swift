import Mirroring
import Synchronization

/// The ``TransferQueue`` of a direction, for transfers on all event loops.
final class TransferGate<PeerKey: Hashable & Sendable>: Sendable {
    typealias Ticket = TransferQueue<PeerKey>.Ticket

    private struct State {
        var queue: TransferQueue<PeerKey>
        var callbacks: [Ticket: @Sendable (Ticket) -> Void] = [:]
        var refused = 0
    }

    private let state: Mutex<State>

    init(limits: TransferQueue<PeerKey>.Limits) {
        state = Mutex(State(queue: TransferQueue(limits: limits)))
    }

    /// Starts a transfer, or queues it.
    ///
    /// - Parameter admitted: called from any thread when a queued transfer may run, unless ``leave(_:)`` comes before.
    func enter(_ peer: PeerKey, admitted: @escaping @Sendable (Ticket) -> Void) -> TransferQueue<PeerKey>.Entry {
        state.withLock { state in
            let entry = state.queue.enter(peer)
            switch entry {
            case .runs: break
            case .waits(let ticket): state.callbacks[ticket] = admitted
            case .refused: state.refused += 1
            }
            return entry
        }
    }

    /// Ends a transfer, or takes it out of the queue.
    func leave(_ ticket: Ticket) {
        let calls = state.withLock { state in
            state.callbacks[ticket] = nil
            return state.queue.leave(ticket).compactMap { next in
                state.callbacks.removeValue(forKey: next).map { (next, $0) }
            }
        }
        for (ticket, admitted) in calls { admitted(ticket) }
    }

    /// Counts a transfer that was queued for so long that it was given up.
    func countRefusal() {
        state.withLock { $0.refused += 1 }
    }

    /// How many run and wait, and how many were refused since the start.
    var counts: (running: Int, waiting: Int, refused: Int) {
        state.withLock { ($0.queue.runningCount, $0.queue.waitingCount, $0.refused) }
    }
}
