import ContainerdStore
import ContentStore
import Glibc
import HTTPServer
import Kademlia
import LibP2P
import Logging
import Monitoring
import Multiformats
import NIOCore
import NIOPosix
import Registry
import Routing
import ServiceLifecycle
import Synchronization

/// A node, put together from its parts: the store, the router, the registry, the state tracker, and what tells of them.
///
/// As a service it runs until it shuts down gracefully, or a part cannot go on.
struct Node: Service {
    /// How long a shutdown may take beyond the time of grace for transfers.
    private static let shutdownMargin = Duration.seconds(4)
    /// How long the tracker may take over one change of the store, or over reading all of it.
    private static let trackerDeadline = Duration.seconds(300)

    private let options: RegistryCommand
    private let output: LogOutput
    private let logger: Logger

    init(_ options: RegistryCommand, output: LogOutput, logger: Logger) {
        self.options = options
        self.output = output
        self.logger = logger
    }

    func run() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: min(System.coreCount, 4))
        do {
            try await run(on: group)
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
        try await group.shutdownGracefully()
        logger.info("stopped")
    }

    private func run(on group: MultiThreadedEventLoopGroup) async throws {
        let keyPair = try IdentityFile(dataDirectory: options.dataDir).loadOrCreate()
        let authentication = try options.authentication(logger: logger)
        let store = try await NodeStore.open(options, group: group, logger: logger)
        let index = ContentIndex()
        let metrics = MetricRegistry(SpegelMetrics.families)
        let liveness = LivenessMonitor(group: group)
        let drain = Drain()

        let zone = try options.ownZone()
        let zones = PeerZones()
        var hostConfiguration = HostConfiguration(
            listenAddresses: try options.routerAddr.multiaddrs,
            agentVersion: "spegel-swift/\(Version.text)"
        )
        if let zone { hostConfiguration.announcements = [zone.protocolName] }
        let host = Host(
            configuration: hostConfiguration,
            keyPair: keyPair,
            group: group,
            logger: logger
        )
        let bootstrap = try NodeBootstrap(options, host: host, group: group, logger: logger)
        var kademlia = KademliaConfiguration()
        kademlia.providerStore.timeToLive = options.providerTtl.duration
        kademlia.reprovideInterval = options.providerRefresh.duration
        let router = DHTRouter(
            host: host,
            protocolPrefix: options.kademliaPrefix,
            registryPort: options.registryAddr.port,
            source: bootstrap.source,
            zones: zones,
            kademlia: kademlia,
            logger: logger
        )
        let filter = try options.contentFilter()
        let tracker = StateTracker(
            store: store.content,
            index: index,
            router: router,
            filter: filter,
            logger: logger
        )
        liveness.watch("the state tracker", deadline: Self.trackerDeadline) { tracker.lastMove }
        let readiness: @Sendable () -> Readiness = {
            drain.hasBegun ? .notReady("shutting down") : .all([router.readiness, tracker.readiness])
        }

        var configuration = RegistryConfiguration(
            host: options.registryAddr.host ?? "",
            port: Int(options.registryAddr.port)
        )
        configuration.peers.resolveTimeout = options.mirrorResolveTimeout.duration
        configuration.peers.resolveRetries = options.mirrorResolveRetries
        configuration.peers.connectTimeout = options.mirrorConnectTimeout.duration
        configuration.peers.headTimeout = options.mirrorHeadTimeout.duration
        configuration.peers.progressTimeout = options.mirrorStallTimeout.duration
        configuration.filter = filter
        configuration.authentication = authentication
        if let ranges = try options.allowedRanges() {
            let known = KnownAddresses(host: host, router: router)
            configuration.access = ClientAccess(ranges: ranges) { known.contains($0) }
        }
        configuration.checks.verification = options.verify
        configuration.clients.shutdownGrace = options.shutdownGrace.duration
        configuration.transfers.maximumUploads = options.maxUploads
        configuration.transfers.maximumUploadsPerPeer = options.maxUploadsPerPeer
        configuration.transfers.maximumDownloads = options.maxDownloads
        configuration.transfers.maximumDownloadsPerPeer = options.maxDownloadsPerPeer
        configuration.transfers.uploadRate = options.uploadRate?.bytesPerSecond
        configuration.transfers.downloadRate = options.downloadRate?.bytesPerSecond
        configuration.clients.congestionControl = options.tcpCongestionControl
        configuration.zone = zone
        configuration.peerZones = zones
        configuration.peers.isNear = { address in
            host.listenAddresses.contains { $0.ipAddress?.sharesNetwork(with: address) ?? false }
        }
        let labels = RegistryLabels(configured: filter.registries)
        let registry = RegistryServer(
            configuration: configuration,
            store: store.content,
            index: index,
            router: router,
            group: group,
            readiness: readiness,
            stalls: { liveness.stalls.map(\.description) },
            labels: labels,
            metricsFactory: metrics,
            logger: logger
        )
        let report = NodeReport(
            peerID: keyPair.peerID,
            storeName: store.name,
            store: store.content,
            host: host,
            router: router,
            tracker: tracker,
            index: index,
            registry: registry,
            authentication: authentication,
            labels: labels,
            elector: bootstrap.elector,
            liveness: liveness,
            readiness: readiness,
            registryAddress: "\(options.registryAddr)",
            zone: zone,
            zones: zones,
            group: group,
            roundTrips: RoundTrips(host: host)
        )
        metrics.collect { report.collect(into: &$0) }
        let pages = DebugPages(report)
        let monitoring = HTTPServer(
            configuration: options.monitoringConfiguration,
            routes: HTTPServer.Routes(
                reads: report.routes(metrics: metrics, pages: pages, debug: options.debugWebEnabled.isOn),
                actions: options.debugWebEnabled.isOn ? pages.actions : [:],
                health: NodeReport.healthPaths
            ),
            group: group,
            logger: logger
        )

        try await host.start()
        // The first is started first and stopped last: at the end nothing is advertised any more before the registry
        // stops to listen, and what tells of the node is there for as long as there is something to tell.
        var services: [any Service] =
            [output, monitoring, liveness] + store.services
            + [HostService(host: host), router, registry, tracker, MemoryService(readiness: readiness)]
        if let authentication { services.append(authentication) }
        if let containerd = store.containerd {
            services.append(SetupCheckService(store: containerd, tracker: tracker, options: options, logger: logger))
        }
        if let manager = ServiceManagerService(
            environment: Environment.current,
            processID: getpid(),
            readiness: readiness,
            stalls: { liveness.stalls.map(\.description) }
        ) {
            services.append(manager)
        }
        // A Lease is let go before the transfers under way are waited for.
        services += bootstrap.services
        // What the group says of itself below warning is of no use to an admin.
        var quiet = logger
        quiet.logLevel = max(.warning, logger.logLevel)
        var groupConfiguration = ServiceGroupConfiguration(services: services, logger: quiet)
        groupConfiguration.maximumGracefulShutdownDuration = options.shutdownGrace.duration + Self.shutdownMargin
        // Longer than a call to containerd may take, which may not notice that it is cancelled.
        groupConfiguration.maximumCancellationDuration = .seconds(15)
        logger.info(
            "starting",
            metadata: ["version": "\(Version.text)", "peer": "\(keyPair.peerID)", "store": "\(store.name)"]
        )
        let serviceGroup = ServiceGroup(configuration: groupConfiguration)
        do {
            try await withGracefulShutdownHandler {
                try await serviceGroup.run()
            } onGracefulShutdown: {
                drain.begin()
            }
        } catch {
            await host.shutdown()
            throw error
        }
    }
}

/// Whether the node has been asked to end.
private final class Drain: Sendable {
    private let flag = Atomic(false)

    var hasBegun: Bool { flag.load(ordering: .relaxed) }

    func begin() { flag.store(true, ordering: .relaxed) }
}

/// Keeps the libp2p host for as long as the node runs.
private struct HostService: Service {
    let host: Host

    func run() async throws {
        try? await gracefulShutdown()
        await host.shutdown()
    }
}

/// Gives back what the start needed once the node is ready, and from then on what bursts have left behind.
private struct MemoryService: Service {
    /// It takes about a millisecond each time.
    private static let trimInterval = Duration.seconds(30)

    let readiness: @Sendable () -> Readiness

    func run() async throws {
        try? await cancelWhenGracefulShutdown {
            while case .notReady = readiness() { try await Task.sleep(for: .seconds(1)) }
            try await Task.sleep(for: .seconds(2))
            SpareMemory.releaseCode()
            SpareMemory.trimHeap()
            // By now the node has met its peers.
            try await Task.sleep(for: .seconds(4))
            while true {
                SpareMemory.releaseCode()
                SpareMemory.trimHeap()
                try await Task.sleep(for: Self.trimInterval)
            }
        }
    }
}

extension Readiness {
    /// Ready when all parts are; the first that is not says why.
    fileprivate static func all(_ parts: [Readiness]) -> Readiness {
        var states: [String] = []
        for part in parts {
            guard case .ready(let state) = part else { return part }
            states.append(state)
        }
        return .ready(states.joined(separator: ", "))
    }
}

extension ListenAddress {
    /// The address for the router: all IPv4 and IPv6 addresses of the machine when no host is given.
    fileprivate var multiaddrs: [Multiaddr] {
        get throws {
            let hosts = host.map { [$0] } ?? (NodeStore.hasIPv6 ? ["0.0.0.0", "::"] : ["0.0.0.0"])
            return try hosts.map { Multiaddr(ip: try IPAddress($0), tcpPort: port) }
        }
    }
}

extension RegistryCommand {
    fileprivate var monitoringConfiguration: HTTPServer.Configuration {
        var configuration = HTTPServer.Configuration(host: metricsAddr.host, port: Int(metricsAddr.port))
        configuration.setting = "--metrics-addr"
        return configuration
    }
}
