import ArgumentParser
import Multiformats
import NodeConfiguration
import OCI
import Routing

/// How a node finds its first peers.
enum BootstrapKind: String, ExpressibleByArgument, CaseIterable {
    case `static`
    case dns
}

/// Where to find the first peers, with all that this needs.
enum BootstrapSetting {
    case none
    case addresses([Multiaddr])
    case domain(String)
}

extension RegistryCommand {
    /// The names of the mirrored registries, or `nil` for all.
    func registryNames() throws -> Set<RegistryName>? {
        let items = listItems(mirroredRegistries)
        guard !items.isEmpty else { return nil }
        return Set(try urls(mirroredRegistries, flag: "--mirrored-registries").map(\.host))
    }

    /// The images that the node shares.
    func contentFilter() throws -> ContentFilter {
        let patterns = registryFilters.flatMap(patternItems)
        guard patterns.count <= 100 else {
            throw ValidationError(
                "--registry-filters takes at most 100 regular expressions, there are \(patterns.count)."
            )
        }
        let excluded = try patterns.map { text in
            do {
                return try ReferencePattern(text)
            } catch {
                throw ValidationError("--registry-filters: '\(text.prefix(256))' is no regular expression: \(error).")
            }
        }
        return ContentFilter(registries: try registryNames(), excluded: excluded, sharesTags: resolveTags.isOn)
    }

    /// How to bootstrap: as told, else by what was given.
    func bootstrap() throws -> BootstrapSetting {
        let peers = listItems(staticBootstrapPeers)
        switch bootstrapKind ?? (peers.isEmpty ? (dnsBootstrapDomain == nil ? nil : .dns) : .static) {
        case nil:
            return .none
        case .static:
            guard !peers.isEmpty else {
                throw ValidationError("--bootstrap-kind=static needs --static-bootstrap-peers.")
            }
            return .addresses(try peers.map(Self.peerAddress))
        case .dns:
            guard let domain = dnsBootstrapDomain, !domain.isEmpty else {
                throw ValidationError("--bootstrap-kind=dns needs --dns-bootstrap-domain.")
            }
            return .domain(domain)
        }
    }

    private static func peerAddress(_ text: String) throws -> Multiaddr {
        let address: Multiaddr
        do {
            address = try Multiaddr(text)
        } catch {
            throw ValidationError("--static-bootstrap-peers: '\(text)' is no multiaddr: \(error).")
        }
        guard address.ipAddress != nil || address.host != nil, address.tcpPort != nil else {
            throw ValidationError(
                "--static-bootstrap-peers: '\(text)' needs a host and a TCP port, as in /ip4/10.0.0.1/tcp/5001."
            )
        }
        return address
    }
}
