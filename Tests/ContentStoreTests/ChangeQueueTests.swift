import Testing

@testable import ContentStore

@Suite("ChangeQueue")
struct ChangeQueueTests {
    @Test("keeps the order and each change once")
    func order() {
        var queue = ChangeQueue()
        queue.append(.imageUpdated(name: "a"))
        queue.append(.imageUpdated(name: "b"))
        queue.append(.imageUpdated(name: "a"))
        #expect(queue.count == 2)
        #expect(queue.popFirst() == .imageUpdated(name: "a"))
        queue.append(.imageUpdated(name: "a"))
        #expect(queue.popFirst() == .imageUpdated(name: "b"))
        #expect(queue.popFirst() == .imageUpdated(name: "a"))
        #expect(queue.popFirst() == nil)
    }

    @Test("what needs everything to be read again says all")
    func unknown() {
        var queue = ChangeQueue()
        queue.append(.imageUpdated(name: "a"))
        queue.append(.unknown)
        queue.append(.imageUpdated(name: "b"))
        #expect(queue.popFirst() == .unknown)
        #expect(queue.popFirst() == nil)
        queue.append(.imageUpdated(name: "c"))
        #expect(queue.popFirst() == .imageUpdated(name: "c"))
    }

    @Test("too many changes become one")
    func limit() {
        var queue = ChangeQueue(limit: 3)
        for name in ["a", "b", "c", "d", "e"] { queue.append(.imageUpdated(name: name)) }
        #expect(queue.count == 1)
        #expect(queue.popFirst() == .unknown)
        #expect(queue.popFirst() == nil)
    }

    @Test("stays small and right however many go through")
    func through() {
        var queue = ChangeQueue(limit: 10)
        queue.append(.imageUpdated(name: "-1"))
        for number in 0..<5000 {
            queue.append(.imageUpdated(name: "\(number)"))
            #expect(queue.popFirst() == .imageUpdated(name: "\(number - 1)"))
            #expect(queue.count == 1)
        }
    }
}
