import Logging
import ServiceLifecycle
import Synchronization
import Testing

@testable import Kubernetes

@Suite(.timeLimit(.minutes(1)))
struct LeaderElectorTests {
    let store = TestStore()
    let name: LeaseName

    init() throws {
        name = try #require(LeaseName(namespace: "n", name: "l"))
    }

    func elector(_ identity: String?) -> LeaderElector {
        LeaderElector(
            store: store,
            name: name,
            timing: ElectionTiming(
                leaseDuration: .seconds(2),
                renewDeadline: .seconds(1),
                retryPeriod: .milliseconds(200)
            ),
            identity: { identity },
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
    }

    func eventually(_ what: String, _ condition: () -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(20)
        while !condition() {
            guard ContinuousClock.now < deadline else {
                Issue.record("not in time: \(what)")
                return
            }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    @Test func leadsAndReleasesLeaseAtEnd() async throws {
        let elector = elector("me")
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: [elector],
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            )
        )
        let task = Task { try await group.run() }
        try await eventually("leads") { elector.status.isLeader }
        #expect(elector.status.holder == "me" && elector.status.error == nil)
        #expect(elector.status.sinceRenewal != nil && elector.status.sinceChange != nil)
        await group.triggerGracefulShutdown()
        try await task.value
        #expect(store.state.withLock { $0.lease?.record.holder } == "")
        #expect(store.state.withLock { $0.isClosed })
        #expect(!elector.status.isLeader)
    }

    @Test func reportsUnreachableServerAndRecovers() async throws {
        store.state.withLock { $0.isAway = true }
        let elector = elector("me")
        let task = Task { try await elector.run() }
        try await eventually("has failed") { elector.status.error == "away" }
        #expect(elector.status.hasTried && !elector.status.isLeader)
        store.state.withLock { $0.isAway = false }
        try await eventually("leads") { elector.status.isLeader }
        store.state.withLock { $0.isAway = true }
        try await eventually("steps down") { !elector.status.isLeader }
        task.cancel()
        _ = await task.result
    }

    @Test func waitsForIdentityUntilCancelled() async throws {
        let elector = elector(nil)
        let task = Task { try await elector.run() }
        try await Task.sleep(for: .milliseconds(50))
        #expect(!elector.status.hasTried)
        task.cancel()
        _ = await task.result
        #expect(store.state.withLock { $0.requests } == 0)
    }
}
