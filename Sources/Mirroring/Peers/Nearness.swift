/// The distance of a peer from this node, the nearest first: a zone that is known says more than an address.
package enum Nearness: Int, Comparable, Sendable, CaseIterable {
    /// In the zone of this node.
    case sameZone
    /// On the network of this node; one of the two zones is not known.
    case sameNetwork
    /// Neither zone nor network says anything.
    case unknown
    /// In another zone than this node.
    case otherZone

    /// - Parameters:
    ///   - zone: of the peer, where it is known.
    ///   - own: of this node, where it is configured.
    ///   - isOnSameNetwork: asked where the zones do not say it.
    package init<Zone: Equatable>(zone: Zone?, own: Zone?, isOnSameNetwork: @autoclosure () -> Bool) {
        if let zone, let own {
            self = zone == own ? .sameZone : .otherZone
        } else {
            self = isOnSameNetwork() ? .sameNetwork : .unknown
        }
    }

    package static func < (one: Nearness, other: Nearness) -> Bool { one.rawValue < other.rawValue }
}
