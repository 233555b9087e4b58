import NIOCore
import OCI

/// What is remembered of peers that sent wrong bytes, or may have.
///
/// Who sent a whole copy that was wrong is not asked for that digest again for a while, and what it sends for others is
/// hashed. Where one of several peers was wrong, each of them is a suspect: it is asked last, and only for what it has
/// checked itself at that moment.
struct PeerTrust {
    /// How much a peer is trusted with some content, the most first.
    enum Standing: Int, Hashable, Sendable, Comparable {
        case trusted
        /// It sent wrong bytes of other content before: what it sends is hashed.
        case distrusted
        /// It may have sent wrong bytes of this content: it has to check it before it sends it.
        case suspect
        /// It sent wrong bytes of this content: it is not asked.
        case barred

        static func < (left: Standing, right: Standing) -> Bool { left.rawValue < right.rawValue }
    }

    /// How long a peer is barred from, or suspected of, some content. Its holder may be mended, or have fetched it anew.
    static let duration = TimeAmount.minutes(10)
    /// How long what a peer sends is hashed after it sent wrong bytes.
    static let distrustDuration = TimeAmount.hours(1)
    /// How many entries of each kind there are at most; the one that ends first gives way.
    static let limit = 1024

    private struct Copy: Hashable {
        var peerID: String
        var digest: Digest
    }

    private var barred = ExpiringSet<Copy>(limit: limit)
    private var suspected = ExpiringSet<Copy>(limit: limit)
    private var distrusted = ExpiringSet<String>(limit: limit)

    /// A peer alone has sent wrong bytes.
    mutating func bar(_ peerID: String, _ digest: Digest, now: NIODeadline) {
        barred.insert(Copy(peerID: peerID, digest: digest), until: now + Self.duration, now: now)
        distrusted.insert(peerID, until: now + Self.distrustDuration, now: now)
    }

    /// One of several peers has sent wrong bytes, this one perhaps.
    mutating func suspect(_ peerID: String, _ digest: Digest, now: NIODeadline) {
        suspected.insert(Copy(peerID: peerID, digest: digest), until: now + Self.duration, now: now)
    }

    /// What is to be thought of a peer now.
    mutating func standing(of peerID: String, _ digest: Digest, now: NIODeadline) -> Standing {
        let copy = Copy(peerID: peerID, digest: digest)
        if barred.contains(copy, now: now) { return .barred }
        if suspected.contains(copy, now: now) { return .suspect }
        return distrusted.contains(peerID, now: now) ? .distrusted : .trusted
    }
}
