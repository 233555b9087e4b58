import Multiformats

/// A source of addresses of the first peers.
public protocol BootstrapSource: Sendable {
    /// The present addresses, in no particular order. Called again for each attempt. They may include this node's own.
    func addresses() async throws -> [Multiaddr]
}

/// Fixed addresses. Names among them are resolved each time.
public struct StaticBootstrap: BootstrapSource {
    private let peers: [Multiaddr]

    /// Creates a source of these addresses.
    public init(_ peers: [Multiaddr]) {
        self.peers = peers
    }

    /// The addresses, with each name replaced by its present addresses.
    public func addresses() async throws -> [Multiaddr] {
        var result: [Multiaddr] = []
        var failure: (any Error)?
        for peer in peers {
            guard peer.ipAddress == nil, let name = peer.host, let port = peer.tcpPort else {
                result.append(peer)
                continue
            }
            do {
                for address in try await DNSResolver.addresses(of: name) {
                    let resolved = Multiaddr(ip: address, tcpPort: port)
                    result.append(peer.peerID.map { resolved.withPeerID($0) } ?? resolved)
                }
            } catch {
                failure = error
            }
        }
        if result.isEmpty, let failure { throw failure }
        return result
    }
}

/// The A and AAAA records of a name, such as a headless service. Each is a node with the same router port as this one.
public struct DNSBootstrap: BootstrapSource {
    private let domain: String
    private let port: UInt16

    /// Creates a source.
    ///
    /// - Parameter port: the router port of all nodes.
    public init(domain: String, port: UInt16) {
        self.domain = domain
        self.port = port
    }

    /// The present addresses of the name.
    public func addresses() async throws -> [Multiaddr] {
        try await DNSResolver.addresses(of: domain).map { Multiaddr(ip: $0, tcpPort: port) }
    }
}
