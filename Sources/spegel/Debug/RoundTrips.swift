import LibP2P
import Multiformats
import Synchronization

/// Round-trip times to the peers, measured only while a client reads them.
final class RoundTrips: Sendable {
    /// The age at which a measurement is stale.
    private static let lifetime = Duration.seconds(10)
    /// The most peers of a round of measurements, and the most at the same time.
    private static let limit = 200
    private static let parallelism = 8
    /// The time within which a peer must answer.
    private static let timeout = Duration.seconds(2)

    private struct State {
        var times: [PeerID: Duration] = [:]
        var measured: ContinuousClock.Instant?
        var isMeasuring = false
    }

    private let ping: @Sendable (PeerID) async -> Duration?
    private let state = Mutex(State())

    /// - Parameter ping: measures one peer; `nil` for a peer that does not answer.
    init(ping: @escaping @Sendable (PeerID) async -> Duration?) {
        self.ping = ping
    }

    convenience init(host: Host) {
        self.init { try? await host.ping(PeerInfo(id: $0, addresses: [])) }
    }

    /// The last measurements. Stale ones start a round of measurements, which the caller does not wait for.
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
