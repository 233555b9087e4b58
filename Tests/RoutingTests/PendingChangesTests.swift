import ContentStore
import Testing
import Time

@testable import Routing

struct PendingChangesTests {
    @Test func keepsEachChangeOnce() {
        let pending = PendingChanges()
        for _ in 0..<10 { pending.add(.imageUpdated(name: "a")) }
        pending.add(.imageDeleted(name: "a"))
        #expect(pending.take() == [.imageUpdated(name: "a"), .imageDeleted(name: "a")])
        #expect(pending.take().isEmpty)
    }

    @Test func collapsesChangesAboveLimit() {
        let pending = PendingChanges()
        for number in 0..<10_000 { pending.add(.imageUpdated(name: "\(number)")) }
        let changes = pending.take()
        #expect(changes.contains(.unknown))
        #expect(changes.count <= PendingChanges.limit)
    }

    @Test func burstKeepsDeletion() {
        for deletion in [0, 500, 3000] {
            let pending = PendingChanges()
            for number in 0..<5000 {
                pending.add(number == deletion ? .imageDeleted(name: "x") : .imageUpdated(name: "\(number)"))
            }
            #expect(pending.take() == [.unknown, .imageDeleted(name: "x")], "deleted at \(deletion)")
        }
    }

    @Test func schedulesReadingAfterEachDeletion() {
        let pending = PendingChanges()
        let now = MonotonicTime.zero
        pending.setCollectionDue(now + .seconds(2))
        pending.setCollectionDue(now + .seconds(3))
        pending.addFullIfDue(now: now + .seconds(1))
        #expect(pending.take().isEmpty)
        // A later deletion does not delay the first reading, and has one of its own.
        pending.addFullIfDue(now: now + .seconds(2))
        #expect(pending.take() == [.unknown])
        pending.addFullIfDue(now: now + .seconds(2.5))
        #expect(pending.take().isEmpty)
        pending.addFullIfDue(now: now + .seconds(3))
        #expect(pending.take() == [.unknown])
        pending.addFullIfDue(now: now + .seconds(9))
        #expect(pending.take().isEmpty)
    }

    @Test func rechecksContentUpToMaximum() throws {
        let pending = PendingChanges()
        let content = try digest("a")
        let now = MonotonicTime.zero
        #expect(pending.nextRecheck == nil)
        for delay in PendingChanges.recheckDelays {
            pending.recheck(content, now: now)
            #expect(pending.nextRecheck == now + delay)
            pending.addRechecks(now: now + (delay - .milliseconds(1)))
            #expect(pending.take().isEmpty)
            pending.addRechecks(now: now + delay)
            #expect(pending.take() == [.contentAdded(content)])
        }
        pending.recheck(content, now: now)
        #expect(pending.nextRecheck == nil)
        for number in 0..<2 * PendingChanges.limit { pending.recheck(try number.digest, now: now) }
        pending.addRechecks(now: now + .seconds(10))
        #expect(pending.take().count <= PendingChanges.limit)
    }

    @Test func fullReadingIsAddedOnceWhenDue() {
        let pending = PendingChanges()
        let now = MonotonicTime.zero
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
