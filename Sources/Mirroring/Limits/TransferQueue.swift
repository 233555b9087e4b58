import NIOCore

/// How many transfers may run at a time, in all and with one peer, and who comes next: a value without clock or I/O.
///
/// Those of one peer come in their order. Peers take turns, so one that asks for much does not hold up the others; and
/// one that has as many as it may is passed over.
struct TransferQueue<Peer: Hashable & Sendable> {
    /// How many there may be.
    struct Limits: Hashable, Sendable {
        /// Running at a time.
        var inAll: Int
        /// Running at a time with one peer.
        var perPeer: Int
        /// Waiting.
        var waiting: Int
    }

    /// Names a transfer that runs or waits.
    typealias Ticket = UInt64

    /// What becomes of a transfer.
    enum Entry: Hashable, Sendable {
        /// It runs.
        case runs(Ticket)
        /// It waits until ``leave(_:)`` names it.
        case waits(Ticket)
        /// There is no place, not even to wait.
        case refused
    }

    private let limits: Limits
    private var lastTicket: Ticket = 0
    private var running: [Ticket: Peer] = [:]
    private var runningWith: [Peer: Int] = [:]
    private var waiting: [Ticket: Peer] = [:]
    /// Who waits, in order, by peer; no line is empty.
    private var lines: [Peer: CircularBuffer<Ticket>] = [:]
    /// The peers of the lines, in the order of their turns.
    private var turns = CircularBuffer<Peer>()

    init(limits: Limits) {
        self.limits = limits
    }

    /// How many run.
    var runningCount: Int { running.count }
    /// How many wait.
    var waitingCount: Int { waiting.count }

    /// A transfer with a peer wants to run.
    mutating func enter(_ peer: Peer) -> Entry {
        lastTicket += 1
        if hasRoom(for: peer), lines[peer] == nil {
            run(lastTicket, peer)
            return .runs(lastTicket)
        }
        guard waiting.count < limits.waiting else { return .refused }
        waiting[lastTicket] = peer
        if lines[peer] == nil { turns.append(peer) }
        lines[peer, default: CircularBuffer()].append(lastTicket)
        return .waits(lastTicket)
    }

    /// A transfer has ended or waits no more.
    ///
    /// - Returns: those that run from now on.
    mutating func leave(_ ticket: Ticket) -> [Ticket] {
        if let peer = waiting.removeValue(forKey: ticket) {
            lines[peer]?.removeAll { $0 == ticket }
            if lines[peer]?.isEmpty == true {
                lines[peer] = nil
                turns.removeAll { $0 == peer }
            }
            return []
        }
        guard let peer = running.removeValue(forKey: ticket) else { return [] }
        let left = (runningWith[peer] ?? 1) - 1
        runningWith[peer] = left > 0 ? left : nil
        return admit()
    }

    private func hasRoom(for peer: Peer) -> Bool {
        running.count < limits.inAll && (runningWith[peer] ?? 0) < limits.perPeer
    }

    private mutating func run(_ ticket: Ticket, _ peer: Peer) {
        running[ticket] = peer
        runningWith[peer, default: 0] += 1
    }

    /// Lets those run whose turn it is and for whom there is room.
    private mutating func admit() -> [Ticket] {
        var admitted: [Ticket] = []
        while let index = turns.firstIndex(where: { hasRoom(for: $0) }) {
            let peer = turns.remove(at: index)
            guard let ticket = lines[peer]?.popFirst() else { continue }
            waiting[ticket] = nil
            run(ticket, peer)
            admitted.append(ticket)
            if lines[peer]?.isEmpty == true { lines[peer] = nil } else { turns.append(peer) }
        }
        return admitted
    }
}
