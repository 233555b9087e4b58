import OCI
import Time

/// The trust in peers that sent wrong bytes, or may have.
///
/// A peer that alone sent a whole copy that was wrong is banned from that digest for a while, and what it sends of other
/// content is hashed. Where the bytes of several peers together were wrong, each of them is a suspect. A peer is doubted if
/// a client asked again for what came from it, and another peer then sent the right bytes. ``PeerStanding`` says what
/// follows.
///
/// The bounds are its own, so that requests to many other peers do not make it forget a ban.
package struct PeerTrust: Sendable {
    /// How long a peer is banned from, or suspected of, some content. It may be repaired, or fetch the content anew.
    package static let duration = Duration.seconds(600)
    /// How long what a peer sends is hashed after it sent wrong bytes.
    package static let distrustDuration = Duration.seconds(3600)
    /// The most entries of each kind; the one that ends first gives way.
    package static let limit = 1024

    private struct Copy: Hashable, Sendable {
        var peerID: String
        var digest: Digest
    }

    private var banned = ExpiringSet<Copy>(limit: limit)
    private var suspected = ExpiringSet<Copy>(limit: limit)
    private var doubted = ExpiringSet<Copy>(limit: limit)
    private var distrusted = ExpiringSet<String>(limit: limit)

    package init() {}

    /// A peer alone has sent wrong bytes.
    package mutating func ban(_ peerID: String, _ digest: Digest, now: MonotonicTime) {
        banned.insert(Copy(peerID: peerID, digest: digest), lifetime: Self.duration, now: now)
        distrusted.insert(peerID, lifetime: Self.distrustDuration, now: now)
    }

    /// One of several peers has sent wrong bytes, this one perhaps.
    package mutating func suspect(_ peerID: String, _ digest: Digest, now: MonotonicTime) {
        suspected.insert(Copy(peerID: peerID, digest: digest), lifetime: Self.duration, now: now)
    }

    /// A client asked again for what came from a peer, and got the right bytes from another one.
    package mutating func doubt(_ peerID: String, _ digest: Digest, now: MonotonicTime) {
        doubted.insert(Copy(peerID: peerID, digest: digest), lifetime: Self.duration, now: now)
    }

    /// How far a peer is trusted with some content now.
    package func standing(of peerID: String, _ digest: Digest, now: MonotonicTime) -> PeerStanding {
        // No peer has sent anything wrong: the usual case.
        if distrusted.isEmpty, suspected.isEmpty, doubted.isEmpty { return .trusted }
        let copy = Copy(peerID: peerID, digest: digest)
        if banned.contains(copy, now: now) { return .banned }
        if suspected.contains(copy, now: now) { return .suspect }
        let standing: PeerStanding = distrusted.contains(peerID, now: now) ? .distrusted : .trusted
        return doubted.contains(copy, now: now) ? standing.whenAskedAgain : standing
    }

    /// Whether the parts are what they should be. Takes linear time.
    package func checkInvariants() -> Bool {
        banned.checkInvariants() && suspected.checkInvariants() && doubted.checkInvariants()
            && distrusted.checkInvariants()
    }
}
