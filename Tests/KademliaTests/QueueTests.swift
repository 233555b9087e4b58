import Multiformats
import TestSupport
import Testing
import Time

@testable import Kademlia

@Suite(.timeLimit(.minutes(1))) struct QueueTests {
    @Test func outboxReturnsKeysOfEachPeerInOrder() throws {
        var outbox = Outbox()
        let keys = (0..<10).map { Key("\($0)") }
        let (first, second) = (try testPeer(1), try testPeer(2))
        outbox.enqueue(.announce, Array(keys[..<4]), for: first)
        outbox.enqueue(.announce, Array(keys[4...]), for: first)
        outbox.enqueue(.announce, keys, for: second)
        #expect(outbox.pendingCount == 20)
        #expect(outbox.start(limit: 1) == [first.id])
        #expect(outbox.start(limit: 1) == [])
        var sent: [Key] = []
        while let next = outbox.next(for: first.id, limit: 3) { sent += next.keys }
        #expect(sent == keys)
        #expect(outbox.start(limit: 1) == [second.id])
        #expect(outbox.next(for: second.id, limit: 3)?.keys.count == 3)
        outbox.drop(second.id)
        #expect(outbox.pendingCount == 0)
        #expect(outbox.next(for: second.id, limit: 3) == nil)
        // Its slot is free again.
        outbox.enqueue(.announce, keys, for: second)
        #expect(outbox.start(limit: 1) == [second.id])
        // The send in flight continues; the queue is dropped.
        outbox.enqueue(.withdraw, keys, for: first)
        outbox.dropWaiting()
        #expect(outbox.pendingCount == 0 && outbox.activeCount == 1 && !outbox.isIdle)
        outbox.enqueue(.leave, [], for: second)
        #expect(outbox.next(for: second.id, limit: 3)?.kind == .leave)
        #expect(outbox.next(for: second.id, limit: 3) == nil)
        #expect(outbox.isIdle)
    }

    @Test func checksPeersInOrderOfAppearance() throws {
        var queue = AdmissionQueue(limit: 100)
        let peers = try (1...40).map { try testPeer($0) }
        for peer in peers { #expect(queue.add(peer, now: .zero) == true) }
        #expect(queue.take(now: .zero, limit: 16) == Array(peers.prefix(16)))
        for peer in peers.prefix(16) { queue.remove(peer.id) }
        // The earlier due time comes first, in any order of arrival.
        queue.addFailed(peers[0], now: .zero)
        #expect(queue.add(peers[1], now: .seconds(3)) == true)
        #expect(queue.take(now: .seconds(3), limit: 30) == Array(peers[16...]) + [peers[0], peers[1]])
    }

    @Test func admissionIsLimitedAndRetried() throws {
        var queue = AdmissionQueue(limit: 2)
        #expect(queue.add(try testPeer(1), now: .zero) == true)
        #expect(queue.add(try testPeer(1), now: .zero) == true)
        #expect(queue.add(try testPeer(2), now: .zero) == true)
        #expect(queue.add(try testPeer(3), now: .zero) == false)
        #expect(queue.take(now: .zero, limit: 1).count == 1)
        #expect(queue.take(now: .zero, limit: 1).isEmpty)
        #expect(queue.take(now: .zero, limit: 2).count == 1)
        queue.remove(try testPeer(2).id)
        var checks = 1
        for second in 0..<100 {
            _ = queue.checkFailed(try testPeer(1).id, now: .seconds(second))
            checks += queue.take(now: .seconds(second + 60), limit: 5).count
        }
        #expect(checks == 4)
        #expect(queue.count == 0 && queue.checking == 0 && queue.nextDue == nil)
    }

    @Test func timersAreInOrder() {
        var generator = SeededGenerator()
        var queue = TimerQueue<Int>()
        var times: [Int] = []
        var taken: [Int] = []
        for _ in 0..<2000 {
            if Bool.random(using: &generator) {
                let time = Int.random(in: 0..<1000, using: &generator)
                queue.add(time, at: .seconds(time))
                times.append(time)
            } else if let first = queue.first {
                #expect(first.event == times.min(), "seed \(generator.seed)")
                if let place = times.firstIndex(of: first.event) { times.remove(at: place) }
                queue.removeFirst()
                taken.append(first.event)
            }
        }
        while let first = queue.first {
            #expect(first.time == .seconds(first.event))
            queue.removeFirst()
            taken.append(first.event)
        }
        #expect(queue.isEmpty)
        #expect(taken.suffix(times.count) == times.sorted()[...], "seed \(generator.seed)")
    }
}
