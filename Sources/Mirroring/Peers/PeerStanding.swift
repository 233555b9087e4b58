/// How much a peer is trusted with some content, the most first.
package enum PeerStanding: Int, Hashable, Sendable, Comparable {
    case trusted
    /// The peer sent wrong bytes of other content: what it sends is hashed.
    case distrusted
    /// The peer may have sent wrong bytes of this content: it must verify it before it sends it.
    case suspect
    /// The peer sent wrong bytes of this content: it is not asked.
    case banned

    package static func < (left: PeerStanding, right: PeerStanding) -> Bool { left.rawValue < right.rawValue }
}
