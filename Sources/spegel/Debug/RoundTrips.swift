import LibP2P
import Multiformats
import Synchronization

/// Round-trip times to the other nodes, measured only while somebody looks at them.
final class RoundTrips: Sendable {
    /// How long a measurement holds.
    private static let lifetime = Duration.seconds(10)
    /// The most nodes that are measured in one go, and how many at a time.
    private static let limit = 200
    private static let parallelism = 8
    /// How long a node may take to answer.
    private static let timeout = Duration.seconds(2)

    private struct State {
        var times: [PeerID: Duration] = [:]
        var measured: ContinuousClock.Instant?
        var isMeasuring = false
    }

    private let ping: @Sendable (PeerID) async -> Duration?
    private let state = Mutex(State())

    /// - Parameter ping: measures one node; `nil` when it does not answer.
    init(ping: @escaping @Sendable (PeerID) async -> Duration?) {
        self.ping = ping
    }

    convenience init(host: Host) {
        self.init { try? await host.ping(PeerInfo(id: $0, addresses: [])) }
    }

    /// What is known, by the nodes. Where that is old, measuring begins and this returns all the same.
    func current(of peers: [PeerID]) -> [PeerID: Duration] {
        let (times, isDue) = state.withLock { state in
            let now = ContinuousClock.now
            let isDue = !state.isMeasuring && state.measured.map { now - $0 > Self.lifetime } ?? true
            if isDue { state.isMeasuring = true }
            return (state.times, isDue)
        }
        if isDue { Task { await self.measure(Array(peers.prefix(Self.limit))) } }
        return times
    }

    private func measure(_ peers: [PeerID]) async {
        let times = await withTaskGroup(of: (PeerID, Duration)?.self) { group in
            var times: [PeerID: Duration] = [:]
            for (index, peer) in peers.enumerated() {
                if index >= Self.parallelism, let done = await group.next() ?? nil { times[done.0] = done.1 }
                group.addTask { [ping] in
                    let time = await withTimeLimit(Self.timeout) { await ping(peer) }
                    return (time ?? nil).map { (peer, $0) }
                }
            }
            for await done in group {
                if let done { times[done.0] = done.1 }
            }
            return times
        }
        state.withLock { state in
            state.times = times
            state.measured = .now
            state.isMeasuring = false
        }
    }
}
