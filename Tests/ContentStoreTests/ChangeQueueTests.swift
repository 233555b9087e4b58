import TestSupport
import Testing

@testable import ContentStore

@Suite struct ChangeQueueTests {
    @Test func givesChangesInOrder() {
        var queue = ChangeQueue(limit: 8)
        queue.append(.imageUpdated(name: "a"))
        queue.append(.imageDeleted(name: "b"))
        #expect(drain(&queue) == [.imageUpdated(name: "a"), .imageDeleted(name: "b")])
        #expect(queue.popFirst() == nil)
    }

    @Test func dropsRepetitionsOfWhatWaits() {
        var queue = ChangeQueue(limit: 8)
        queue.append(.imageUpdated(name: "a"))
        queue.append(.imageUpdated(name: "b"))
        queue.append(.imageUpdated(name: "a"))
        #expect(drain(&queue) == [.imageUpdated(name: "a"), .imageUpdated(name: "b")])
        // What has been taken may have been acted upon already.
        queue.append(.imageUpdated(name: "a"))
        #expect(drain(&queue) == [.imageUpdated(name: "a")])
    }

    @Test func keepsTheLastWordOnAnImage() {
        let changes: [StoreChange] = [.imageUpdated(name: "a"), .imageDeleted(name: "a"), .imageUpdated(name: "a")]
        var queue = ChangeQueue(limit: 8)
        for change in changes { queue.append(change) }
        #expect(drain(&queue) == changes)
    }

    @Test func collapsesWhenFull() {
        var queue = ChangeQueue(limit: 3)
        for number in 0..<4 { queue.append(.imageUpdated(name: "\(number)")) }
        queue.append(.imageUpdated(name: "0"))
        #expect(drain(&queue) == [.unknown])
        queue.append(.imageUpdated(name: "0"))
        #expect(drain(&queue) == [.imageUpdated(name: "0")])
    }

    @Test func unknownStandsForAll() {
        var queue = ChangeQueue(limit: 8)
        queue.append(.imageUpdated(name: "a"))
        queue.append(.unknown)
        queue.append(.imageUpdated(name: "b"))
        #expect(drain(&queue) == [.unknown])
    }

    @Test func remembersADeletionWhenAllCollapse() {
        var queue = ChangeQueue(limit: 3)
        queue.append(.imageDeleted(name: "a"))
        queue.append(.imageDeleted(name: "b"))
        for number in 0..<9 { queue.append(.imageUpdated(name: "\(number)")) }
        queue.append(.imageDeleted(name: "c"))
        #expect(drain(&queue) == [.imageDeleted(name: "b"), .unknown])
        // One that comes after the collapse is kept, too.
        queue.append(.unknown)
        queue.append(.imageDeleted(name: "d"))
        queue.append(.imageDeleted(name: "e"))
        #expect(drain(&queue) == [.imageDeleted(name: "d"), .unknown])
    }

    /// Whatever comes and goes: the queue stays within its limit, and the last thing said of each image is either
    /// given last of all that is said of it, or is followed by `unknown`.
    @Test(arguments: UInt64(1)...50)
    func losesNothing(seed: UInt64) {
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
                // An unknown change, taken after this, covers it.
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
