import ContentStore
import NIOCore
import OCI

/// The content that clients were told of late that no node has. What of it appears in the node's own store soon after
/// came from its source registry, and so its bytes are known, although this node had no part in the transfer.
struct MissedContent {
    /// How long a miss is remembered: as long as a pull of large layers over a slow line may take.
    static let duration = TimeAmount.hours(1)
    /// How many are; the eldest give way.
    static let limit = 4096

    private struct Miss {
        /// Where the part begins that no node could give: what came before it, if anything did, came from one.
        var start: Int64
        /// Where the part begins that a node gave later; none has unless this is set.
        var end: Int64?
        /// The registry, as metrics name it.
        var registry: String
        var expires: NIODeadline
    }

    /// Bytes that came from the source.
    struct Arrival: Hashable {
        /// The registry, as metrics name it.
        var registry: String
        var bytes: Int64
    }

    private var misses: [Digest: Miss] = [:]

    /// How many there are, those that have ended included until they are met.
    var count: Int { misses.count }

    /// A client was told that no node has some content, or has it from a byte on.
    mutating func note(_ digest: Digest, from start: Int64, registry: String, now: NIODeadline) {
        let expires = now + Self.duration
        if let known = misses[digest], known.expires > now {
            misses[digest] = Miss(start: min(known.start, start), end: nil, registry: registry, expires: expires)
            return
        }
        makeRoom(now: now)
        misses[digest] = Miss(start: start, end: nil, registry: registry, expires: expires)
    }

    /// Another node gave some content to a client after all, from a byte to the end.
    mutating func delivered(_ digest: Digest, from start: Int64) {
        guard var miss = misses[digest] else { return }
        miss.end = min(miss.end ?? start, start)
        misses[digest] = miss.start < start ? miss : nil
    }

    /// Content is held now. Of each miss that it ends it is told once how much came from the source.
    mutating func arrived(_ contents: [Digest: ContentIndex.Entry], now: NIODeadline) -> [Arrival] {
        guard !misses.isEmpty else { return [] }
        let met =
            if contents.count < misses.count {
                contents.keys.filter { misses[$0] != nil }
            } else {
                misses.keys.filter { contents[$0] != nil }
            }
        return met.compactMap { digest in
            guard let miss = misses.removeValue(forKey: digest), let entry = contents[digest], miss.expires > now
            else { return nil }
            let size = max(0, entry.size)
            let bytes = min(miss.end ?? size, size) - miss.start
            return bytes > 0 ? Arrival(registry: miss.registry, bytes: bytes) : nil
        }
    }

    private mutating func makeRoom(now: NIODeadline) {
        guard misses.count >= Self.limit else { return }
        misses = misses.filter { $0.value.expires > now }
        guard misses.count >= Self.limit else { return }
        // Many at a time, so that not each of a flood looks through all.
        for (digest, _) in misses.sorted(by: { $0.value.expires < $1.value.expires }).prefix(Self.limit / 4) {
            misses[digest] = nil
        }
    }
}
