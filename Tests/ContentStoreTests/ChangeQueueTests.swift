import TestSupport
import Testing

@testable import ContentStore

@Suite struct ChangeQueueTests {
    @Test func returnsChangesInOrder() {
        var queue = ChangeQueue(limit: 8)
        queue.append(.imageUpdated(name: "a"))
        queue.append(.imageDeleted(name: "b"))
        #expect(drain(&queue) == [.imageUpdated(name: "a"), .imageDeleted(name: "b")])
        #expect(queue.popFirst() == nil)
    }

    @Test func dropsRepetitionsOfWaitingChanges() {
        var queue = ChangeQueue(limit: 8)
        queue.append(.imageUpdated(name: "a"))
        queue.append(.imageUpdated(name: "b"))
        queue.append(.imageUpdated(name: "a"))
        #expect(drain(&queue) == [.imageUpdated(name: "a"), .imageUpdated(name: "b")])
        // The reader may already have acted on a taken change.
        queue.append(.imageUpdated(name: "a"))
        #expect(drain(&queue) == [.imageUpdated(name: "a")])
    }

    @Test func keepsLatestChangeOfImage() {
        let changes: [StoreChange] = [.imageUpdated(name: "a"), .imageDeleted(name: "a"), .imageUpdated(name: "a")]
        var queue = ChangeQueue(limit: 8)
        for change in changes { queue.append(change) }
        #expect(drain(&queue) == changes)
    }

    @Test func collapsesAtLimit() {
        var queue = ChangeQueue(limit: 3)
        for number in 0..<4 { queue.append(.imageUpdated(name: "\(number)")) }
        queue.append(.imageUpdated(name: "0"))
        #expect(drain(&queue) == [.unknown])
        queue.append(.imageUpdated(name: "0"))
        #expect(drain(&queue) == [.imageUpdated(name: "0")])
    }

    @Test func unknownCoversLaterChanges() {
        var queue = ChangeQueue(limit: 8)
        queue.append(.imageUpdated(name: "a"))
        queue.append(.unknown)
        queue.append(.imageUpdated(name: "b"))
        #expect(drain(&queue) == [.unknown])
    }

    @Test func keepsOneDeletionWhenCollapsing() {
        var queue = ChangeQueue(limit: 3)
        queue.append(.imageDeleted(name: "a"))
        queue.append(.imageDeleted(name: "b"))
        for number in 0..<9 { queue.append(.imageUpdated(name: "\(number)")) }
        queue.append(.imageDeleted(name: "c"))
        #expect(drain(&queue) == [.imageDeleted(name: "b"), .unknown])
        // A deletion after the collapse is kept, too.
        queue.append(.unknown)
        queue.append(.imageDeleted(name: "d"))
        queue.append(.imageDeleted(name: "e"))
        #expect(drain(&queue) == [.imageDeleted(name: "d"), .unknown])
    }

    /// At random: the queue stays within its limit, and the last change of each image is either the last one returned
    /// for it or followed by `unknown`.
    @Test(arguments: UInt64(1)...50)
    func losesNoFinalStateAtRandom(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let limit = Int.random(in: 2...12, using: &random)
        var queue = ChangeQueue(limit: limit)
        var given: [StoreChange] = []
        var expected: [String: StoreChange] = [:]
        for _ in 0..<400 {
            if Int.random(in: 0..<3, using: &random) == 0 {
                if let change = queue.popFirst() { given.append(change) }
            } else {
                let name = "\(Int.random(in: 0..<20, using: &random))"
                let change: StoreChange =
                    Bool.random(using: &random) ? .imageUpdated(name: name) : .imageDeleted(name: name)
                expected[name] = change
                queue.append(change)
                // A later `unknown` covers it.
            }
            #expect(queue.count <= limit, "seed \(seed)")
        }
        given += drain(&queue)
        for (name, change) in expected {
            let last = given.lastIndex { $0 == .imageUpdated(name: name) || $0 == .imageDeleted(name: name) }
            let unknown = given.lastIndex(of: .unknown)
            let isCovered = (unknown ?? -1) > (last ?? -1)
            #expect(isCovered || last.map { given[$0] } == change, "seed \(seed), image \(name)")
        }
    }

    private func drain(_ queue: inout ChangeQueue) -> [StoreChange] {
        var changes: [StoreChange] = []
        while let change = queue.popFirst() { changes.append(change) }
        return changes
    }
}
