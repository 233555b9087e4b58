import NIOCore
import OCI

/// The peers that sent wrong bytes for a digest, and are not asked for it again for a while.
struct BarredPeers {
    /// How long a peer is barred. Its holder may be mended, or have fetched the content anew.
    static let duration = TimeAmount.minutes(10)
    /// How many entries there are at most; the one that ends first gives way.
    static let limit = 1024

    private struct Entry: Hashable {
        var peerID: String
        var digest: Digest
    }

    private var entries: [Entry: NIODeadline] = [:]

    /// How many entries there are, those that have ended included until they are met.
    var count: Int { entries.count }

    /// Bars a peer for a digest.
    mutating func bar(_ peerID: String, _ digest: Digest, now: NIODeadline) {
        let entry = Entry(peerID: peerID, digest: digest)
        if entries.count >= Self.limit, entries[entry] == nil {
            entries = entries.filter { $0.value > now }
            if entries.count >= Self.limit, let first = entries.min(by: { $0.value < $1.value }) {
                entries[first.key] = nil
            }
        }
        entries[entry] = now + Self.duration
    }

    /// Whether a peer is barred for a digest now.
    mutating func isBarred(_ peerID: String, _ digest: Digest, now: NIODeadline) -> Bool {
        guard !entries.isEmpty else { return false }
        let entry = Entry(peerID: peerID, digest: digest)
        guard let end = entries[entry] else { return false }
        guard end <= now else { return true }
        entries[entry] = nil
        return false
    }
}
