import LibP2P
import Multiformats
import Synchronization
import Time

/// A pool of idle streams for further requests to the same peer. This saves the round trip of the protocol negotiation,
/// and the peer a task for each request.
///
/// The other side closes a stream that is idle for a minute. Here the limit is a few seconds, so that no unused stream
/// keeps a connection open.
final class StreamPool: Sendable {
    private struct State {
        var idle = IdleStreams<MuxedStream>(lifetime: .seconds(5), perPeer: 16, inAll: 128)
        var sweeper: Task<Void, Never>?
        var isClosed = false
    }

    private static let sweepInterval = Duration.seconds(5)

    private let state = Mutex(State())

    /// Takes an idle stream to a peer. The peer may have closed it meanwhile.
    func take(_ peer: PeerID) -> MuxedStream? {
        let now = MonotonicTime.now
        return state.withLock { $0.idle.take(peer, now: now) }
    }

    /// Returns an idle stream to the pool, or closes it.
    func put(_ stream: MuxedStream) {
        let now = MonotonicTime.now
        let isKept = state.withLock { state in
            guard !state.isClosed, state.idle.put(stream, of: stream.remotePeer, now: now) else { return false }
            if state.sweeper == nil { state.sweeper = sweep() }
            return true
        }
        if !isKept { stream.close() }
    }

    /// Closes all streams and the pool.
    func close() {
        let (streams, sweeper) = state.withLock { state in
            state.isClosed = true
            defer { state.sweeper = nil }
            return (state.idle.removeAll(), state.sweeper)
        }
        sweeper?.cancel()
        for stream in streams { stream.close() }
    }

    /// Closes expired streams while there are any.
    private func sweep() -> Task<Void, Never> {
        Task { [weak self] in
            while (try? await Task.sleep(for: Self.sweepInterval)) != nil {
                guard let pool = self, pool.closeExpired() else { return }
            }
        }
    }

    /// - Returns: whether any streams remain.
    private func closeExpired() -> Bool {
        let now = MonotonicTime.now
        let (expired, isEmpty) = state.withLock { state in
            let expired = state.idle.expire(now: now)
            if state.idle.count == 0 { state.sweeper = nil }
            return (expired, state.idle.count == 0)
        }
        for stream in expired { stream.close() }
        return !isEmpty
    }
}
