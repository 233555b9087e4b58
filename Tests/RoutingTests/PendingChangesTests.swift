import ContentStore
import Testing

@testable import Routing

struct PendingChangesTests {
    @Test func eachChangeWaitsOnce() {
        let pending = PendingChanges()
        for _ in 0..<10 { pending.add(.imageUpdated(name: "a")) }
        pending.add(.imageDeleted(name: "a"))
        #expect(pending.take() == [.imageUpdated(name: "a"), .imageDeleted(name: "a")])
        #expect(pending.take().isEmpty)
    }

    @Test func tooManyBecomeOne() {
        let pending = PendingChanges()
        for number in 0..<10_000 { pending.add(.imageUpdated(name: "\(number)")) }
        let changes = pending.take()
        #expect(changes.contains(.unknown))
        #expect(changes.count <= PendingChanges.limit)
    }

    @Test func aFullReadingComesWhenItIsDueAndOnce() {
        let pending = PendingChanges()
        let now = ContinuousClock.now
        pending.addFullIfDue(now: now)
        #expect(pending.take().isEmpty)
        pending.setFullDue(now + .seconds(1))
        pending.addFullIfDue(now: now)
        #expect(pending.take().isEmpty)
        pending.addFullIfDue(now: now + .seconds(2))
        #expect(pending.take() == [.unknown])
        pending.addFullIfDue(now: now + .seconds(3))
        #expect(pending.take().isEmpty)
    }
}
