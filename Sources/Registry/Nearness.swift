import Routing

/// How near a holder is, the nearest first: a zone that is known says more than an address.
enum Nearness: Int, Comparable, Sendable, CaseIterable {
    /// In the zone of this node.
    case sameZone
    /// On the network of this node; one of the two zones is not known.
    case sameNetwork
    /// Nobody knows.
    case unknown
    /// In another zone than this node.
    case otherZone

    /// - Parameters:
    ///   - zone: of the holder, where it is known.
    ///   - own: of this node, where it was told.
    ///   - isOnSameNetwork: asked where the zones do not say it.
    init(zone: Zone?, own: Zone?, isOnSameNetwork: @autoclosure () -> Bool) {
        if let zone, let own {
            self = zone == own ? .sameZone : .otherZone
        } else {
            self = isOnSameNetwork() ? .sameNetwork : .unknown
        }
    }

    static func < (one: Nearness, other: Nearness) -> Bool { one.rawValue < other.rawValue }
}
