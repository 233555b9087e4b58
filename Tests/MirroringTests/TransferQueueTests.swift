import Mirroring
import TestSupport
import Testing

struct TransferQueueTests {
    private typealias Queue = TransferQueue<Int>

    private func queue(inAll: Int = 2, perPeer: Int = 2, waiting: Int = 100) -> Queue {
        Queue(limits: .init(inAll: inAll, perPeer: perPeer, waiting: waiting))
    }

    @Test func peersTakeTurns() {
        var queue = queue(inAll: 1)
        let first = queue.enter(1)
        // Peer 1 asks for much, and before the others.
        let entries = [queue.enter(1), queue.enter(1), queue.enter(1), queue.enter(2), queue.enter(3)]
        let waits: [Queue.Entry] = [2, 3, 4, 5, 6].map { .waits($0) }
        #expect(first == .runs(1) && entries == waits)
        var order: [UInt64] = []
        var running: UInt64? = 1
        while let ticket = running {
            let next = queue.leave(ticket)
            order += next
            running = next.first
        }
        #expect(order == [2, 5, 6, 3, 4])
        #expect(queue.runningCount == 0 && queue.waitingCount == 0)
    }

    @Test func onePeerDoesNotTakeThePlacesOfOthers() {
        var queue = queue(inAll: 3, perPeer: 1)
        let entries = [queue.enter(1), queue.enter(1), queue.enter(2)]
        #expect(entries == [.runs(1), .waits(2), .runs(3)])
        let next = queue.leave(3)
        #expect(next == [])
        let last = queue.leave(1)
        #expect(last == [2])
    }

    @Test func queueIsBounded() {
        var queue = queue(inAll: 1, waiting: 2)
        let entries = (0..<4).map { _ in queue.enter(1) }
        #expect(entries == [.runs(1), .waits(2), .waits(3), .refused])
        _ = queue.leave(2)
        let entry = queue.enter(2)
        #expect(entry == .waits(5))
    }

    /// Beside a model that knows only which came when.
    @Test(arguments: 0..<8) func limitsHoldAndNoTransferIsForgotten(batch: Int) {
        let seed = UInt64.random(in: .min ... .max)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<50 {
            let limits = Queue.Limits(
                inAll: Int.random(in: 1...5, using: &random),
                perPeer: Int.random(in: 1...4, using: &random),
                waiting: Int.random(in: 0...12, using: &random)
            )
            var queue = Queue(limits: limits)
            var running: [UInt64: Int] = [:]
            var waiting: [(ticket: UInt64, peer: Int)] = []
            func count(_ peer: Int) -> Int { running.values.count { $0 == peer } }
            for _ in 0..<200 {
                let all = Array(running.keys) + waiting.map(\.ticket)
                if all.isEmpty || Bool.random(using: &random) {
                    let peer = Int.random(in: 0..<4, using: &random)
                    let hadRoom = running.count < limits.inAll && count(peer) < limits.perPeer
                    switch queue.enter(peer) {
                    case .runs(let ticket):
                        #expect(hadRoom, "seed \(seed)")
                        running[ticket] = peer
                    case .waits(let ticket):
                        #expect(!hadRoom, "seed \(seed)")
                        waiting.append((ticket, peer))
                    case .refused: #expect(!hadRoom && waiting.count >= limits.waiting, "seed \(seed)")
                    }
                } else if let ticket = all.sorted().randomElement(using: &random) {
                    running[ticket] = nil
                    waiting.removeAll { $0.ticket == ticket }
                    for next in queue.leave(ticket) {
                        guard let index = waiting.firstIndex(where: { $0.ticket == next }) else {
                            Issue.record("seed \(seed): a transfer runs that did not wait")
                            return
                        }
                        let peer = waiting.remove(at: index).peer
                        // In the order in which they came, among those of one peer.
                        #expect(!waiting.prefix(index).contains { $0.peer == peer }, "seed \(seed)")
                        running[next] = peer
                    }
                }
                #expect(queue.checkInvariants(), "seed \(seed)")
                #expect(queue.runningCount == running.count && queue.waitingCount == waiting.count, "seed \(seed)")
                #expect(running.count <= limits.inAll && waiting.count <= limits.waiting, "seed \(seed)")
                for peer in 0..<4 { #expect(count(peer) <= limits.perPeer, "seed \(seed)") }
                // A queued transfer waits for a reason.
                let isFree = waiting.contains { running.count < limits.inAll && count($0.peer) < limits.perPeer }
                #expect(!isFree, "seed \(seed)")
            }
        }
    }
}
