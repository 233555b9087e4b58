import Multiformats
import Synchronization
import Testing

@testable import Kademlia

@Suite(.timeLimit(.minutes(1))) struct QueueTests {
    @Test func outboxGivesEachPeerItsKeysInOrder() throws {
        var outbox = Outbox()
        let keys = (0..<10).map { Key("\($0)") }
        let (first, second) = (try testPeer(1), try testPeer(2))
        outbox.enqueue(Array(keys[..<4]), for: first)
        outbox.enqueue(Array(keys[4...]), for: first)
        outbox.enqueue(keys, for: second)
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
        // Its turn is free again.
        outbox.enqueue(keys, for: second)
        #expect(outbox.start(limit: 1) == [second.id])
    }

    @Test func peersAreCheckedInTheOrderInWhichTheyAppeared() throws {
        var queue = AdmissionQueue(limit: 100)
        let peers = try (1...40).map { try testPeer($0) }
        for peer in peers { #expect(queue.add(peer, now: .zero)) }
        #expect(queue.take(now: .zero, limit: 16) == Array(peers.prefix(16)))
        for peer in peers.prefix(16) { queue.remove(peer.id) }
        // One that is due earlier goes first, whenever it came.
        queue.addFailed(peers[0], now: .zero)
        #expect(queue.add(peers[1], now: .seconds(3)))
        #expect(queue.take(now: .seconds(3), limit: 30) == Array(peers[16...]) + [peers[0], peers[1]])
    }

    @Test func admissionIsBoundedAndRetriedAFewTimes() throws {
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
            queue.checkFailed(try testPeer(1).id, now: .seconds(second))
            checks += queue.take(now: .seconds(second + 60), limit: 5).count
        }
        #expect(checks == 4)
        #expect(queue.count == 0)
    }

    private final class Gauge: Sendable {
        let value = Mutex((now: 0, most: 0))
    }

    @Test func limiterLetsSoManyInAndForgetsThoseThatGiveUp() async throws {
        let limiter = AsyncLimiter(limit: 3)
        let running = Gauge()
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<200 {
                group.addTask {
                    try? await limiter.run {
                        running.value.withLock { running in
                            running.now += 1
                            running.most = max(running.most, running.now)
                        }
                        for _ in 0..<5 { await Task.yield() }
                        running.value.withLock { $0.now -= 1 }
                    }
                }
                if number == 100 { group.cancelAll() }
            }
        }
        #expect(running.value.withLock { $0.now } == 0)
        #expect(running.value.withLock { $0.most } <= 3)
        // All room is there again.
        try await limiter.run { try await limiter.run { try await limiter.run {} } }
    }
}
