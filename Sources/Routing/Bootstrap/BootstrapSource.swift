import Multiformats

/// Where a node learns of its first peers.
public protocol BootstrapSource: Sendable {
    /// The addresses that are known now, in no particular order; asked again whenever peers are sought. They may
    /// include this node's own.
    func addresses() async throws -> [Multiaddr]
}

/// Addresses that were given once and for all; names among them are resolved each time.
public struct StaticBootstrap: BootstrapSource {
    private let peers: [Multiaddr]

    /// Makes a source of these addresses.
    public init(_ peers: [Multiaddr]) {
        self.peers = peers
    }

    /// The addresses, each name replaced by the addresses that it has now.
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

/// The A and AAAA records of a name, such as a headless service, each a node whose router has the same port as ours.
public struct DNSBootstrap: BootstrapSource {
    private let domain: String
    private let port: UInt16

    /// Makes a source.
    ///
    /// - Parameter port: the port of every node's router.
    public init(domain: String, port: UInt16) {
        self.domain = domain
        self.port = port
    }

    /// The addresses that the name has now.
    public func addresses() async throws -> [Multiaddr] {
        try await DNSResolver.addresses(of: domain).map { Multiaddr(ip: $0, tcpPort: port) }
    }
}
