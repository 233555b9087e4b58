import Multiformats
import Time

/// The idle streams of all peers, each with its expiry. A value without a clock: the time is passed in.
struct IdleStreams<Stream> {
    private struct Idle {
        var stream: Stream
        var expires: MonotonicTime
    }

    let lifetime: Duration
    let perPeer: Int
    let inAll: Int
    private var streams: [PeerID: [Idle]] = [:]
    private(set) var count = 0

    /// - Parameters:
    ///   - lifetime: how long to keep a stream.
    ///   - perPeer: the maximum number of streams of one peer.
    ///   - inAll: the maximum number of streams.
    init(lifetime: Duration, perPeer: Int, inAll: Int) {
        self.lifetime = lifetime
        self.perPeer = perPeer
        self.inAll = inAll
    }

    /// Takes the last used stream of a peer that has not expired.
    mutating func take(_ peer: PeerID, now: MonotonicTime) -> Stream? {
        guard let last = streams[peer]?.last, last.expires > now else { return nil }
        streams[peer]?.removeLast()
        if streams[peer]?.isEmpty == true { streams[peer] = nil }
        count -= 1
        return last.stream
    }

    /// Adds a stream.
    ///
    /// - Returns: `false` at a limit.
    mutating func put(_ stream: Stream, of peer: PeerID, now: MonotonicTime) -> Bool {
        guard count < inAll, streams[peer]?.count ?? 0 < perPeer else { return false }
        streams[peer, default: []].append(Idle(stream: stream, expires: now + lifetime))
        count += 1
        return true
    }

    /// Takes all expired streams.
    mutating func expire(now: MonotonicTime) -> [Stream] {
        var expired: [Stream] = []
        for (peer, idle) in streams {
            // The oldest come first.
            let old = idle.prefix { $0.expires <= now }
            guard !old.isEmpty else { continue }
            expired += old.map(\.stream)
            streams[peer] = old.count == idle.count ? nil : Array(idle.dropFirst(old.count))
        }
        count -= expired.count
        return expired
    }

    /// Takes all streams.
    mutating func removeAll() -> [Stream] {
        let all = streams.values.flatMap { $0.map(\.stream) }
        streams = [:]
        count = 0
        return all
    }
}
