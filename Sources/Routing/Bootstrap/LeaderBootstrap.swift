import Kubernetes
import LibP2P
import Multiformats

/// The elected leader: the address that stands in the Lease. The leader itself waits for the others to come.
public struct LeaderBootstrap: BootstrapSource {
    private let status: @Sendable () -> LeaderElector.Status
    private let patience: Duration

    /// Makes a source.
    ///
    /// - Parameters:
    ///   - status: What is known of the election.
    ///   - patience: How long a question waits for the first holder to be known.
    public init(patience: Duration = .seconds(3), status: @escaping @Sendable () -> LeaderElector.Status) {
        self.status = status
        self.patience = patience
    }

    /// The leader is not known, or cannot be dialled.
    enum Failure: Error, CustomStringConvertible {
        case unknown(reason: String)
        case noAddress(holder: String)

        var description: String {
            switch self {
            case .unknown(let reason): "the leader is not known: \(reason)"
            case .noAddress(let holder): "the holder of the Lease, '\(holder.prefix(200))', is no multiaddr of a node"
            }
        }
    }

    /// The leader's address, or none when this node leads.
    public func addresses() async throws -> [Multiaddr] {
        let deadline = ContinuousClock.now + patience
        var status = status()
        while status.holder == nil, status.error == nil, ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(20))
            status = self.status()
        }
        guard let holder = status.holder else {
            if let error = status.error { throw Failure.unknown(reason: error) }
            return []
        }
        if status.isLeader { return [] }
        guard let address = try? Multiaddr(holder), address.peerID != nil, address.tcpPort != nil else {
            throw Failure.noAddress(holder: holder)
        }
        return [address]
    }

    /// The address by which a node stands in the Lease, or `nil` while it has none that others can reach.
    ///
    /// - Parameters:
    ///   - ip: The IP address that others use, when it is known better than from the machine's interfaces.
    ///   - acceptsLoopback: Whether an address of this machine alone will do.
    public static func identity(of host: Host, ip: IPAddress?, acceptsLoopback: Bool) -> Multiaddr? {
        identity(among: host.listenAddresses, id: host.peerID, ip: ip, acceptsLoopback: acceptsLoopback)
    }

    static func identity(
        among addresses: [Multiaddr],
        id: PeerID,
        ip: IPAddress?,
        acceptsLoopback: Bool
    ) -> Multiaddr? {
        let own = addresses.filter { $0.tcpPort != nil }
        if let ip {
            let port = (own.first { $0.ipAddress == ip } ?? own.first)?.tcpPort
            return port.map { Multiaddr(ip: ip, tcpPort: $0).withPeerID(id) }
        }
        return own.first { acceptsLoopback || $0.ipAddress?.isLoopback == false }?.withPeerID(id)
    }
}
