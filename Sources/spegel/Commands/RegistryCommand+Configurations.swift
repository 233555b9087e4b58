import HTTPServer
import Kademlia
import LibP2P
import Multiformats
import Registry
import Routing

/// The configurations of the parts of a node, as far as the flags set them.
extension RegistryCommand {
    func registryConfiguration() throws -> RegistryConfiguration {
        var configuration = RegistryConfiguration(host: registryAddr.host ?? "", port: Int(registryAddr.port))
        configuration.peers.resolveTimeout = mirrorResolveTimeout.duration
        configuration.peers.resolveRetries = mirrorResolveRetries
        configuration.peers.connectTimeout = mirrorConnectTimeout.duration
        configuration.peers.headTimeout = mirrorHeadTimeout.duration
        configuration.peers.progressTimeout = mirrorStallTimeout.duration
        configuration.filter = try contentFilter()
        configuration.defaultRegistry = try defaultRegistryName()
        configuration.checks.verification = verify
        configuration.clients.shutdownGrace = shutdownGrace.duration
        let connections = DescriptorLimit.connections(atMost: configuration.clients.maximumConnections)
        configuration.clients.maximumConnections = connections
        configuration.transfers.maximumUploads = maxUploads
        configuration.transfers.maximumUploadsPerPeer = maxUploadsPerPeer
        configuration.transfers.maximumDownloads = maxDownloads
        configuration.transfers.maximumDownloadsPerPeer = maxDownloadsPerPeer
        configuration.transfers.uploadRate = uploadRate?.bytesPerSecond
        configuration.transfers.downloadRate = downloadRate?.bytesPerSecond
        configuration.clients.congestionControl = tcpCongestionControl
        configuration.zone = try ownZone()
        return configuration
    }

    func hostConfiguration() throws -> HostConfiguration {
        var configuration = HostConfiguration(
            listenAddresses: try routerAddr.multiaddrs,
            agentVersion: "spegel-swift/\(Version.text)"
        )
        if let zone = try ownZone() { configuration.announcements = [zone.protocolName] }
        return configuration
    }

    var kademliaConfiguration: KademliaConfiguration {
        var configuration = KademliaConfiguration()
        configuration.providerStore.timeToLive = providerTtl.duration
        configuration.reprovideInterval = providerRefresh.duration
        return configuration
    }

    var monitoringConfiguration: HTTPServer.Configuration {
        var configuration = HTTPServer.Configuration(host: metricsAddr.host, port: Int(metricsAddr.port))
        configuration.setting = "--metrics-addr"
        return configuration
    }
}

extension ListenAddress {
    /// The address for the router: all IPv4 and IPv6 addresses of the machine if no host is given.
    fileprivate var multiaddrs: [Multiaddr] {
        get throws {
            let hosts = host.map { [$0] } ?? (NodeStore.hasIPv6 ? ["0.0.0.0", "::"] : ["0.0.0.0"])
            return try hosts.map { Multiaddr(ip: try IPAddress($0), tcpPort: port) }
        }
    }
}
