import OCI
import Time

/// The content that no node had when clients asked for it. What of it appears in the node's own store soon after came from
/// its source registry, and so its bytes are known, although this node had no part in the transfer.
struct MissedContent: Sendable {
    /// How long a miss is remembered: as long as a pull of large layers over a slow line may take.
    static let lifetime = Duration.seconds(3600)
    /// The most misses that are remembered; the oldest give way.
    static let limit = 4096

    private struct Miss: Sendable {
        /// Where the part begins that no node could give: what came before it, if anything did, came from one.
        var start: Int64
        /// Where the part begins that a node gave later; none has unless this is set.
        var end: Int64?
        /// The registry, as metrics name it.
        var registry: String
    }

    private var misses = ExpiringMap<Digest, Miss>(limit: limit)

    /// How many there are, with those whose time is over until they are found.
    var count: Int { misses.count }

    /// A client got 404 for some content, or for its part from a byte on.
    mutating func missed(_ digest: Digest, from start: Int64, registry: String, now: MonotonicTime) {
        let known = misses.value(of: digest, now: now)
        let miss = Miss(start: min(known?.start ?? .max, max(0, start)), end: nil, registry: registry)
        misses.insert(miss, for: digest, lifetime: Self.lifetime, now: now)
    }

    /// Another node gave some content to a client after all, from a byte to the end.
    mutating func delivered(_ digest: Digest, from start: Int64, now: MonotonicTime) {
        guard var miss = misses.value(of: digest, now: now) else { return }
        miss.end = min(miss.end ?? start, start)
        if miss.start < start {
            misses.update(digest, to: miss, now: now)
        } else {
            misses.remove(digest)
        }
    }

    /// Content is held now, which ends its miss.
    ///
    /// - Returns: how much of it came from the source registry, once for each miss.
    mutating func arrived<Content>(
        _ contents: [Digest: Content],
        size: (Content) -> Int64,
        now: MonotonicTime
    ) -> [SourceArrival] {
        guard !misses.isEmpty else { return [] }
        let ended =
            if contents.count < misses.count {
                contents.keys.filter { misses.contains($0, now: now) }
            } else {
                misses.keys.filter { contents[$0] != nil && misses.contains($0, now: now) }
            }
        return ended.compactMap { digest in
            guard let miss = misses.remove(digest), let content = contents[digest] else { return nil }
            let size = max(0, size(content))
            let bytes = min(miss.end ?? size, size) - miss.start
            return bytes > 0 ? SourceArrival(registry: miss.registry, bytes: bytes) : nil
        }
    }

    /// Whether the parts are what they should be. Takes linear time.
    func checkInvariants(now: MonotonicTime) -> Bool {
        misses.checkInvariants()
            && misses.keys.allSatisfy { digest in
                guard let miss = misses.value(of: digest, now: now) else { return true }
                return miss.start >= 0 && miss.end.map { $0 > miss.start } ?? true
            }
    }
}
