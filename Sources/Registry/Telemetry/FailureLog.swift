/// The last attempts at other nodes that failed, and the answers that were cut short; for people.
public struct FailureLog: Sendable {
    /// Something that failed.
    public struct Entry: Hashable, Sendable {
        /// When, in seconds since 1970.
        public var time: Double
        /// The digest or full tag name.
        public var key: String
        /// The registry of the image, if it was told.
        public var registry: String?
        /// Its repository.
        public var repository: String
        /// The id of the node that was asked, if one was.
        public var peerID: String?
        /// Where its registry is.
        public var address: String?
        /// The reason, of which there are few: as in `spegel_mirror_failed_attempts_total`, or `cut_short`.
        public var reason: String
        /// The same in words.
        public var text: String
    }

    /// The most entries that are kept.
    public static let limit = 50

    private var ring: [Entry] = []
    private var next = 0

    /// Nothing has failed yet.
    public init() {}

    mutating func add(_ entry: Entry) {
        if ring.count < Self.limit {
            ring.append(entry)
        } else {
            ring[next] = entry
        }
        next = (next + 1) % Self.limit
    }

    /// The entries, the newest first.
    public var newestFirst: [Entry] {
        // Where the ring is not full, `next` is its end.
        Array(
            (ring[..<min(next, ring.count)].reversed() + ring[min(next, ring.count)...].reversed()).prefix(Self.limit)
        )
    }
}
