internal import Multiformats

/// The network of a peer's address: its /24 (IPv4) or /64 (IPv6), in which one owner gets many addresses at little
/// cost.
///
/// Private, link-local and loopback addresses are in no group, because all peers of a cluster may share one network.
struct AddressGroup: Hashable, Sendable {
    private let isIPv4: Bool
    private let prefix: UInt64

    init?(_ address: IPAddress) {
        let address = address.unmapped
        guard !address.isPrivate, !address.isLoopback, !address.isLinkLocal, !address.isUnspecified else { return nil }
        switch address {
        case .v4(let address):
            isIPv4 = true
            prefix = UInt64(address.rawValue >> 8)
        case .v6(let address):
            isIPv4 = false
            prefix = address.high
        }
    }

    /// The group of a peer's first address, at which it is reached.
    init?(of peer: PeerInfo) {
        guard let address = peer.addresses.lazy.compactMap(\.ipAddress).first else { return nil }
        self.init(address)
    }
}
