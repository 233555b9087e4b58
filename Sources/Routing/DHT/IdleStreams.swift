import Multiformats

/// What is kept of streams on which nothing is under way: which peer's they are, and until when. A value without a
/// clock; times are those of any clock that does not go back.
struct IdleStreams<Stream> {
    private struct Idle {
        var stream: Stream
        var expires: Duration
    }

    let lifetime: Duration
    let perPeer: Int
    let inAll: Int
    private var streams: [PeerID: [Idle]] = [:]
    private(set) var count = 0

    /// - Parameters:
    ///   - lifetime: how long a stream is kept.
    ///   - perPeer: the most that are kept of one peer.
    ///   - inAll: the most that are kept.
    init(lifetime: Duration, perPeer: Int, inAll: Int) {
        self.lifetime = lifetime
        self.perPeer = perPeer
        self.inAll = inAll
    }

    /// Takes out the stream of a peer that was used last, unless its time has passed.
    mutating func take(_ peer: PeerID, now: Duration) -> Stream? {
        guard let last = streams[peer]?.last, last.expires > now else { return nil }
        streams[peer]?.removeLast()
        if streams[peer]?.isEmpty == true { streams[peer] = nil }
        count -= 1
        return last.stream
    }

    /// Keeps a stream.
    ///
    /// - Returns: whether there was room for it.
    mutating func put(_ stream: Stream, of peer: PeerID, now: Duration) -> Bool {
        guard count < inAll, streams[peer]?.count ?? 0 < perPeer else { return false }
        streams[peer, default: []].append(Idle(stream: stream, expires: now + lifetime))
        count += 1
        return true
    }

    /// Takes out what was kept for its whole time.
    mutating func expire(now: Duration) -> [Stream] {
        var expired: [Stream] = []
        for (peer, idle) in streams {
            // Those that were put in first stand first.
            let old = idle.prefix { $0.expires <= now }
            guard !old.isEmpty else { continue }
            expired += old.map(\.stream)
            streams[peer] = old.count == idle.count ? nil : Array(idle.dropFirst(old.count))
        }
        count -= expired.count
        return expired
    }

    /// Takes out all.
    mutating func removeAll() -> [Stream] {
        let all = streams.values.flatMap { $0.map(\.stream) }
        streams = [:]
        count = 0
        return all
    }
}
