import TestSupport
import Testing

@testable import ContentStore

struct CheckQueueTests {
    private typealias Queue = CheckQueue<Int, Int, Int>

    @Test func oneCheckServesAllWaiters() {
        var queue = Queue()
        let places = (0..<5).map { queue.add(7, 70, isUrgent: false, waiter: $0) }
        #expect(places == [true, true, true, true, true])
        let started = queue.start()
        #expect(started?.key == 7 && started?.job == 70)
        let late = queue.add(7, 71, isUrgent: true, waiter: 5)
        let second = queue.start()
        #expect(late && second == nil)
        let waiters = queue.finish(7)
        #expect(waiters == [0, 1, 2, 3, 4, 5] && queue.count == 0)
    }

    @Test func urgentChecksComeFirst() {
        var queue = Queue()
        for key in 0..<3 { _ = queue.add(key, key, isUrgent: false, waiter: key) }
        for key in 3..<6 { _ = queue.add(key, key, isUrgent: true, waiter: key) }
        // A waiting key becomes urgent.
        _ = queue.add(1, 1, isUrgent: true, waiter: 9)
        var order: [Int] = []
        while let next = queue.start() {
            order.append(next.key)
            _ = queue.finish(next.key)
        }
        #expect(order == [3, 4, 5, 1, 0, 2])
    }

    @Test func rejectsFilesAboveLimit() {
        var queue = Queue()
        for key in 0..<Queue.limit { _ = queue.add(key, key, isUrgent: false, waiter: key) }
        let beyond = queue.add(-1, 0, isUrgent: true, waiter: 0)
        let known = queue.add(0, 0, isUrgent: true, waiter: 0)
        #expect(!beyond && known)
    }

    /// At random: each accepted waiter is returned once, bounds hold, and no file waits forever.
    @Test(arguments: 0..<200)
    func returnsEachWaiterOnceAtRandom(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var queue = Queue()
        var waiting: Set<Int> = []
        var running: [Int: Bool] = [:]
        for number in 0..<400 {
            switch Int.random(in: 0..<5, using: &random) {
            case 0, 1:
                let key = Int.random(in: 0..<40, using: &random)
                let isUrgent = Bool.random(using: &random)
                if queue.add(key, key, isUrgent: isUrgent, waiter: number) { waiting.insert(number) }
            case 2, 3:
                let isNeeded = queue.needsWorker
                guard let next = queue.start() else {
                    #expect(!isNeeded, "seed \(seed)")
                    continue
                }
                #expect(isNeeded && running.updateValue(true, forKey: next.key) == nil, "seed \(seed)")
            default:
                guard let key = running.keys.sorted().randomElement(using: &random) else { continue }
                running[key] = nil
                for waiter in queue.finish(key) { #expect(waiting.remove(waiter) != nil, "seed \(seed)") }
            }
            #expect(running.count <= Queue.width && queue.running == running.count, "seed \(seed)")
        }
        for key in running.keys { waiting.subtract(queue.finish(key)) }
        while let next = queue.start() { waiting.subtract(queue.finish(next.key)) }
        #expect(waiting.isEmpty && queue.count == 0, "seed \(seed)")
    }
}
