import Multiformats
import NIOCore

/// The clients that may ask for content, by address: `--allow-from`.
public struct ClientAccess: Sendable {
    private let ranges: [IPRange]
    private let isKnown: @Sendable (IPAddress) -> Bool

    /// Allows the ranges, loopback, and those addresses that are known otherwise.
    ///
    /// - Parameter isKnown: whether an address is one of this node or of another node of the cluster. Asked once for
    ///   each connection from outside of the ranges.
    public init(ranges: [IPRange], isKnown: @escaping @Sendable (IPAddress) -> Bool = { _ in false }) {
        self.ranges = ranges
        self.isKnown = isKnown
    }

    /// Whether a client at this address may ask.
    package func allows(_ address: IPAddress) -> Bool {
        let address = address.unmapped
        return address.isLoopback || ranges.contains { $0.contains(address) } || isKnown(address)
    }

    /// Whether a client at this address may ask. One that has no IP address may not.
    func allows(_ address: SocketAddress?) -> Bool {
        guard let ip = address?.ip else { return false }
        return allows(ip)
    }
}
