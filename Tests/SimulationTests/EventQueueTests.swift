import Kademlia
import TestSupport
import Testing
import Time

@testable import Simulation

struct EventQueueTests {
    @Test func returnsEventsInOrderOfTimeThenOfInsertion() {
        var generator = SeededGenerator()
        var queue = EventQueue<Int>()
        var expected: [(time: Int64, number: Int)] = []
        var taken: [(time: Int64, number: Int)] = []
        func take() {
            let first = expected.enumerated().min { ($0.element.time, $0.offset) < ($1.element.time, $1.offset) }
            let next = queue.pop()
            #expect(next?.event == first?.element.number, "seed \(generator.seed)")
            if let first { taken.append(expected.remove(at: first.offset)) }
        }
        for number in 0..<2000 {
            let time = Int64.random(in: 0..<50, using: &generator)
            queue.push(number, at: MonotonicTime(nanoseconds: time))
            expected.append((time, number))
            if Bool.random(using: &generator) { take() }
            #expect(queue.count == expected.count)
        }
        while !expected.isEmpty { take() }
        #expect(queue.pop() == nil)
        #expect(queue.nextTime == nil)
        #expect(Set(taken.map(\.number)).count == 2000)
    }
}
