import Mirroring
import NIOCore
import Routing

extension Peer {
    /// A provider that the router found. Addresses that are no IP addresses are left out.
    init(_ provider: Provider) {
        self.init(id: provider.peerID, addresses: provider.addresses.compactMap { PeerAddress($0) })
    }
}

extension PeerAddress {
    init?(_ address: SocketAddress) {
        guard let ip = address.ipAddress, let port = address.port else { return nil }
        self.init(ip: ip, port: port)
    }
}

extension SocketAddress {
    /// The same address; `nil` if the text is no IP address.
    init?(_ address: PeerAddress) {
        guard let found = try? SocketAddress(ipAddress: address.ip, port: address.port) else { return nil }
        self = found
    }
}

extension Provider {
    /// A peer, as the router knows it.
    init(_ peer: Peer) {
        let addresses = peer.addresses.compactMap { SocketAddress($0) }
        self.init(peerID: peer.id, addresses: addresses)
    }
}
