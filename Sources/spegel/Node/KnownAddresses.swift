import LibP2P
import Multiformats
import NIOCore
import NIOPosix
import Routing
import Synchronization

/// The addresses of this machine and of the peers that the router knows, which the registry always admits. They are
/// gathered on demand, at most once in two seconds.
final class KnownAddresses: Sendable {
    private static let lifetime = Duration.seconds(2)

    private let host: Host
    private let router: DHTRouter
    private let gathered = Mutex<(addresses: Set<IPAddress>, expiry: ContinuousClock.Instant)?>(nil)

    init(host: Host, router: DHTRouter) {
        self.host = host
        self.router = router
    }

    /// Whether an address is among them.
    func contains(_ address: IPAddress) -> Bool {
        let now = ContinuousClock.now
        return gathered.withLock { gathered in
            if let gathered, now < gathered.expiry { return gathered.addresses.contains(address) }
            let addresses = gather()
            gathered = (addresses, now + Self.lifetime)
            return addresses.contains(address)
        }
    }

    private func gather() -> Set<IPAddress> {
        var addresses: Set<IPAddress> = []
        for device in (try? System.enumerateDevices()) ?? [] {
            if let text = device.address?.ipAddress, let ip = try? IPAddress(text) { addresses.insert(ip.unmapped) }
        }
        // Remote addresses of connected peers, and addresses where peers of the routing table have answered.
        let peers = host.connectedPeers.flatMap { host.remoteAddresses(of: $0) }.compactMap(\.ipAddress)
        addresses.formUnion(peers.map(\.unmapped))
        for address in router.peers.flatMap(\.addresses) {
            if let ip = (try? Multiaddr(address))?.ipAddress { addresses.insert(ip.unmapped) }
        }
        return addresses
    }
}
