import ContentStore
import Testing

@testable import ContainerdStore

@Suite(.timeLimit(.minutes(1))) struct ChangeChannelTests {
    struct Failure: Error {}

    @Test func wakesWaiterOnChange() async throws {
        let channel = ChangeChannel(limit: 4)
        async let change = channel.next()
        channel.send(.imageUpdated(name: "a"))
        #expect(try await change == .imageUpdated(name: "a"))
    }

    @Test func returnsWaitingChangesBeforeFailing() async throws {
        let channel = ChangeChannel(limit: 4)
        channel.send(.imageUpdated(name: "a"))
        channel.fail(Failure())
        channel.send(.imageUpdated(name: "b"))
        #expect(try await channel.next() == .imageUpdated(name: "a"))
        await #expect(throws: Failure.self) { try await channel.next() }
        #expect(try await channel.next() == nil)
    }

    @Test func failsWaiter() async {
        let channel = ChangeChannel(limit: 4)
        let waiter = Task { try await channel.next() }
        channel.fail(Failure())
        await #expect(throws: Failure.self) { try await waiter.value }
    }

    @Test func cancellationEndsTheWait() async throws {
        let channel = ChangeChannel(limit: 4)
        for _ in 0..<100 {
            let waiter = Task { try await channel.next() }
            waiter.cancel()
            #expect(try await waiter.value == nil)
        }
        channel.send(.unknown)
        #expect(try await channel.next() == .unknown)
    }

    @Test func passesAllChangesOfManySenders() async throws {
        let channel = ChangeChannel(limit: 10_000)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for sender in 0..<4 {
                group.addTask {
                    for number in 0..<500 { channel.send(.imageUpdated(name: "\(sender)/\(number)")) }
                }
            }
            var names: Set<StoreChange> = []
            while names.count < 2000, let change = try await channel.next() { names.insert(change) }
            #expect(names.count == 2000)
            try await group.waitForAll()
        }
    }
}
