import Multiformats
import NIOCore

extension Multiaddr {
    /// The address of a TCP socket. An IPv4-mapped address becomes IPv4.
    init?(socketAddress: SocketAddress) {
        guard let text = socketAddress.ipAddress, let port = socketAddress.port.flatMap(UInt16.init(exactly:)),
            let address = try? IPAddress(text)
        else { return nil }
        self.init(ip: address.unmapped, tcpPort: port)
    }

    /// The reachable addresses of a host that listens on `bound`.
    ///
    /// An unspecified address expands to those of all interfaces of its family. Link-local addresses are omitted, since
    /// they mean nothing without an interface. Loopback addresses are omitted if there are others.
    static func reachable(bound: [Multiaddr], interfaces: [IPAddress]) -> [Multiaddr] {
        var addresses: [Multiaddr] = []
        for address in bound {
            guard let ip = address.ipAddress, ip.isUnspecified, let port = address.tcpPort else {
                addresses.append(address)
                continue
            }
            for interface in interfaces where interface.bytes.count == ip.bytes.count && !interface.isLinkLocal {
                addresses.append(Multiaddr(ip: interface, tcpPort: port))
            }
        }
        var seen: Set<Multiaddr> = []
        let unique = addresses.filter { seen.insert($0).inserted }
        let others = unique.filter { $0.ipAddress?.isLoopback != true }
        return others.isEmpty ? unique : others
    }
}
