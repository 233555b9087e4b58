import Synchronization

@testable import Kubernetes

/// A Lease in memory, with a server that can be unreachable.
final class TestStore: LeaseStore {
    struct State {
        var lease: Lease?
        var version = 0
        var isAway = false
        var requests = 0
        var isClosed = false
    }

    let state = Mutex(State())

    func perform(_ request: LeaderElection.Request, timeout: Duration) async throws -> LeaderElection.Outcome {
        try Task.checkCancellation()
        return try state.withLock { state in
            state.requests += 1
            if state.isAway { throw APIError.noAnswer("away") }
            switch request {
            case .get:
                return state.lease.map { .lease($0) } ?? .absent
            case .create where state.lease != nil:
                return .conflict
            case .create(let change):
                return state.write(change)
            case .update(let known, let change):
                guard let lease = state.lease else { return .absent }
                return lease.version == known.version ? state.write(change) : .conflict
            }
        }
    }

    func close() async {
        state.withLock { $0.isClosed = true }
    }
}

extension TestStore.State {
    fileprivate mutating func write(_ change: LeaseChange) -> LeaderElection.Outcome {
        version += 1
        let record = LeaseRecord(
            holder: change.holder,
            duration: change.duration,
            renewTime: "\(version)",
            transitions: change.transitions
        )
        let new = Lease(record: record, version: "\(version)")
        lease = new
        return .lease(new)
    }
}
