import Kubernetes
import LibP2P
import Multiformats

/// The address of the elected leader, from the Lease. The leader itself waits for other nodes to connect.
public struct LeaderBootstrap: BootstrapSource {
    private let status: @Sendable () -> LeaderElector.Status
    private let patience: Duration

    /// Creates a source.
    ///
    /// - Parameters:
    ///   - status: The state of the election.
    ///   - patience: How long to wait for the first holder.
    public init(patience: Duration = .seconds(3), status: @escaping @Sendable () -> LeaderElector.Status) {
        self.status = status
        self.patience = patience
    }

    /// The leader is unknown or has no valid address.
    enum Failure: Error, CustomStringConvertible {
        case unknown(reason: String)
        case noAddress(holder: String)

        var description: String {
            switch self {
            case .unknown(let reason): "leader unknown: \(reason)"
            case .noAddress(let holder):
                "expected a node's multiaddr as holder of the Lease, got '\(holder.prefix(200))'"
            }
        }
    }

    /// The leader's address; none when this node leads.
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

    /// The address of this node for the Lease, or `nil` while no other node can reach it.
    ///
    /// - Parameters:
    ///   - ip: The IP address for other nodes, if it is known better than from the machine's interfaces.
    ///   - acceptsLoopback: Whether a loopback address is acceptable.
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
