import Mirroring
import Multiformats
import NIOCore

extension SocketAddress {
    /// The address as it stands in a `Host` header and in the log: `192.0.2.1:5000`, `[2001:db8::1]:5000`.
    var hostHeader: String { PeerAddress(ip: ipAddress ?? "", port: port ?? 0).text }

    /// The IP address, an IPv4-mapped one of IPv6 as the IPv4 address that it is.
    var ip: IPAddress? {
        // Where `sin_addr` and `sin6_addr` stand in their structures.
        let place: (offset: Int, count: Int)
        switch self {
        case .v4: place = (4, 4)
        case .v6: place = (8, 16)
        case .unixDomainSocket: return nil
        }
        return withSockAddr { pointer, size in
            let bytes = UnsafeRawBufferPointer(start: pointer, count: size)
            return IPAddress(bytes: bytes.dropFirst(place.offset).prefix(place.count))?.unmapped
        }
    }
}
