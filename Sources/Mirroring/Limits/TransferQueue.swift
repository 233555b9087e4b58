/// A concurrency limiter for transfers, in all and with each peer: says which run, and which of the queued ones is next.
/// A value without clock or I/O.
///
/// The transfers of one peer run in their order. Peers take turns, so one that asks for much does not delay the others;
/// and one that has as many as it may is passed over.
package struct TransferQueue<PeerKey: Hashable & Sendable>: Sendable {
    /// How many transfers there may be.
    package struct Limits: Hashable, Sendable {
        /// Running at a time.
        package var inAll: Int
        /// Running at a time with one peer.
        package var perPeer: Int
        /// Queued.
        package var waiting: Int

        package init(inAll: Int, perPeer: Int, waiting: Int) {
            self.inAll = inAll
            self.perPeer = perPeer
            self.waiting = waiting
        }
    }

    /// Names a transfer that runs or is queued: its permit, or its place in the queue. Later ones have higher numbers.
    package typealias Ticket = UInt64

    /// What becomes of a transfer.
    package enum Entry: Hashable, Sendable {
        /// It runs.
        case runs(Ticket)
        /// It is queued until ``leave(_:)`` names it.
        case waits(Ticket)
        /// The queue is full.
        case refused
    }

    private let limits: Limits
    private var lastTicket: Ticket = 0
    private var running: [Ticket: PeerKey] = [:]
    private var runningWith: [PeerKey: Int] = [:]
    private var waiting: [Ticket: PeerKey] = [:]
    /// The queued transfers of each peer, in order; no line is empty.
    private var lines: [PeerKey: [Ticket]] = [:]
    /// The peers of the lines, in the order of their turns.
    private var turns: [PeerKey] = []

    package init(limits: Limits) {
        self.limits = limits
    }

    /// How many run.
    package var runningCount: Int { running.count }
    /// How many are queued.
    package var waitingCount: Int { waiting.count }

    /// Starts a transfer with a peer, or queues it.
    package mutating func enter(_ peer: PeerKey) -> Entry {
        defer { assert(isValid) }
        lastTicket += 1
        if hasRoom(for: peer), lines[peer] == nil {
            run(lastTicket, peer)
            return .runs(lastTicket)
        }
        guard waiting.count < limits.waiting else { return .refused }
        waiting[lastTicket] = peer
        if lines[peer] == nil { turns.append(peer) }
        lines[peer, default: []].append(lastTicket)
        return .waits(lastTicket)
    }

    /// Ends a transfer, or takes it out of the queue.
    ///
    /// - Returns: those that run from now on.
    package mutating func leave(_ ticket: Ticket) -> [Ticket] {
        defer { assert(isValid) }
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

    private func hasRoom(for peer: PeerKey) -> Bool {
        running.count < limits.inAll && (runningWith[peer] ?? 0) < limits.perPeer
    }

    private mutating func run(_ ticket: Ticket, _ peer: PeerKey) {
        running[ticket] = peer
        runningWith[peer, default: 0] += 1
    }

    /// Starts those whose turn it is and for which there is room.
    private mutating func admit() -> [Ticket] {
        var admitted: [Ticket] = []
        while running.count < limits.inAll, let index = turns.firstIndex(where: { hasRoom(for: $0) }) {
            let peer = turns.remove(at: index)
            guard var line = lines.removeValue(forKey: peer), !line.isEmpty else { continue }
            // At most as many as may be queued: to move them costs less than a queue that need not.
            let ticket = line.removeFirst()
            waiting[ticket] = nil
            run(ticket, peer)
            admitted.append(ticket)
            guard !line.isEmpty else { continue }
            lines[peer] = line
            turns.append(peer)
        }
        return admitted
    }

    /// What can be checked after each change, in debug builds.
    private var isValid: Bool {
        running.count <= limits.inAll && waiting.count <= limits.waiting && lines.count == turns.count
            && (running.count + waiting.count > 32 || checkInvariants())
    }

    /// Whether the limits hold and the parts agree with each other. Takes linear time.
    package func checkInvariants() -> Bool {
        guard running.count <= limits.inAll, waiting.count <= limits.waiting else { return false }
        guard Dictionary(running.values.map { ($0, 1) }, uniquingKeysWith: +) == runningWith else { return false }
        guard runningWith.values.allSatisfy({ $0 <= limits.perPeer }) else { return false }
        guard Set(turns) == Set(lines.keys), turns.count == lines.count else { return false }
        guard lines.values.reduce(0, { $0 + $1.count }) == waiting.count else { return false }
        let linesAreRight = lines.allSatisfy { peer, line in
            !line.isEmpty && zip(line, line.dropFirst()).allSatisfy { $0 < $1 }
                && line.allSatisfy { waiting[$0] == peer && running[$0] == nil }
        }
        // A queued transfer waits for a reason.
        return linesAreRight && (running.count >= limits.inAll || !turns.contains { hasRoom(for: $0) })
    }
}
