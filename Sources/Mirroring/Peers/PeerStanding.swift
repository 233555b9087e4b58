/// How much a peer is trusted with some content, the most first.
package enum PeerStanding: Int, Hashable, Sendable, Comparable {
    case trusted
    /// The peer sent wrong bytes of other content: what it sends is hashed.
    case distrusted
    /// A client asks again for this content, which came from the peer: it is asked last, and what it sends is hashed.
    /// A part of the content comes from it as from others, since a repeated request proves nothing.
    case doubted
    /// The peer, or another one, sent wrong bytes of this content: it is asked last, and should verify it before it sends
    /// it. A peer that cannot verify is asked once more, after all others; what it sends is hashed. A part of the content
    /// comes from it only if it has verified it.
    case suspect
    /// The peer sent wrong bytes of this content: it is not asked.
    case banned

    package static func < (left: PeerStanding, right: PeerStanding) -> Bool { left.rawValue < right.rawValue }

    /// Whether the peer is asked after all others, and asked to verify the content.
    package var isSuspect: Bool { self == .doubted || self == .suspect }

    /// The standing for a client that asks again for what came from the peer.
    package var whenAskedAgain: PeerStanding {
        switch self {
        case .trusted, .doubted: .doubted
        case .distrusted, .suspect: .suspect
        case .banned: .banned
        }
    }
}
