import Kubernetes
import LibP2P
import Logging
import Multiformats
import NIOCore
import Routing
import ServiceLifecycle

/// The sources of first peers that the options name.
struct NodeBootstrap {
    /// The source, or `nil` for a node that waits for peers.
    let source: (any BootstrapSource)?
    /// The services that it needs, after the host has started.
    let services: [any Service]
    /// The election that this node takes part in, if any.
    let elector: LeaderElector?

    /// Makes the sources and services that the options name.
    ///
    /// - Throws: the fault of a file that they name.
    init(_ options: RegistryCommand, host: Host, group: any EventLoopGroup, logger: Logger) throws {
        var sources: [any BootstrapSource] = []
        var services: [any Service] = []
        var elector: LeaderElector?
        for place in try options.bootstrap.places() {
            switch place {
            case .addresses(let peers):
                sources.append(StaticBootstrap(peers))
            case .domain(let domain):
                sources.append(DNSBootstrap(domain: domain, port: options.routerAddr.port))
            case .http(let address, let url, let tls):
                if let address {
                    services.append(
                        IdentityServer(
                            address: (address.host, address.port),
                            host: host,
                            group: group,
                            logger: logger
                        )
                    )
                }
                if let url {
                    try HTTPBootstrap.check(tls)
                    sources.append(HTTPBootstrap(url: url, tls: tls, port: options.routerAddr.port, group: group))
                }
            case .election(let setting):
                let made = try Self.elector(setting, options, host: host, group: group, logger: logger)
                elector = made
                services.append(made)
                sources.append(LeaderBootstrap { made.status })
            }
        }
        source = sources.isEmpty ? nil : sources.count == 1 ? sources[0] : CombinedBootstrap(sources)
        self.services = services
        self.elector = elector
    }

    private static func elector(
        _ setting: ElectionSetting,
        _ options: RegistryCommand,
        host: Host,
        group: any EventLoopGroup,
        logger: Logger
    ) throws -> LeaderElector {
        let access =
            if let path = setting.kubeconfig {
                try ClusterAccess.kubeconfig(path: path)
            } else {
                try ClusterAccess.inCluster(environment: Environment.current)
            }
        try access.check()
        if let warning = access.warning { logger.warning("\(warning)") }
        let namespace = setting.namespace ?? access.namespace ?? "spegel"
        guard let name = LeaseName(namespace: namespace, name: setting.name) else {
            throw UnusableNamespace(namespace: namespace)
        }
        // A loopback address is useful only if the admin named it.
        let acceptsLoopback = options.routerAddr.host != nil
        return LeaderElector(
            access: access,
            name: name,
            timing: setting.timing,
            identity: {
                LeaderBootstrap.identity(of: host, ip: setting.ip, acceptsLoopback: acceptsLoopback)?.description
            },
            userAgent: "spegel-swift/\(Version.text)",
            group: group,
            logger: logger
        )
    }
}

/// A file names an invalid namespace.
private struct UnusableNamespace: Error, CustomStringConvertible {
    let namespace: String

    var description: String {
        "expected a namespace, got '\(namespace)'; set --leader-election-namespace"
    }
}
