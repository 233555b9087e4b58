import Mirroring

/// The limits of what this node fetches from peers at a time. Small blobs have permits of their own, so that they never
/// wait behind large ones.
final class DownloadPermits: Sendable {
    /// A permit, or a place in the queue for one.
    struct Permit: Sendable {
        fileprivate let gate: TransferGate<String>
        fileprivate let ticket: TransferGate<String>.Ticket

        /// Gives it back.
        func release() { gate.leave(ticket) }
    }

    enum Answer {
        case granted(Permit)
        case queued(Permit)
        /// The queue is full.
        case refused
    }

    /// The download rate, if there is one: no bytes may go from a peer to a client without its leave.
    let rate: RateLimiter?
    private let all: TransferGate<String>
    private let small: TransferGate<String>

    init(_ configuration: RegistryConfiguration) {
        let rate = configuration.transfers.downloadRate.map {
            RateLimiter(bytesPerSecond: $0, maximumTransfers: configuration.transfers.maximumDownloads)
        }
        self.rate = rate
        let limits = TransferQueue<String>.Limits(
            inAll: rate?.transfers ?? configuration.transfers.maximumDownloads,
            perPeer: configuration.transfers.maximumDownloadsPerPeer,
            waiting: configuration.transfers.maximumQueued
        )
        let all = TransferGate(limits: limits)
        self.all = all
        // All that share a rate count, so that each has enough of it.
        small = rate == nil ? TransferGate(limits: limits) : all
    }

    /// Asks for a permit.
    ///
    /// - Parameter granted: called from any thread when a queued transfer gets its permit.
    func request(for peerID: String, isSmall: Bool, granted: @escaping @Sendable () -> Void) -> Answer {
        let gate = isSmall ? small : all
        return switch gate.enter(peerID, admitted: { _ in granted() }) {
        case .runs(let ticket): .granted(Permit(gate: gate, ticket: ticket))
        case .waits(let ticket): .queued(Permit(gate: gate, ticket: ticket))
        case .refused: .refused
        }
    }

    /// How many transfers run and wait, and how many waited in vain.
    var counts: (running: Int, waiting: Int, refused: Int) {
        let counts = all.counts
        guard small !== all else { return counts }
        let others = small.counts
        return (counts.running + others.running, counts.waiting + others.waiting, counts.refused + others.refused)
    }
}
