internal import Multiformats

/// The network that a peer's address belongs to: its /24 (IPv4) or /64 (IPv6), of which one holder has many addresses
/// at little cost.
///
/// Private, link-local and loopback addresses are in no group: within a cluster all peers may share one network.
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

    /// The group of a peer: that of its first address, which is the one it is reached at.
    init?(of peer: PeerInfo) {
        guard let address = peer.addresses.lazy.compactMap(\.ipAddress).first else { return nil }
        self.init(address)
    }
}
