import ContainerdStore
import ContentStore
import Kademlia
import LibP2P
import Logging
import Multiformats
import NIOCore
import NIOPosix
import Registry
import Routing
import ServiceLifecycle
import UnixSignals

/// A node, put together from its parts: the store, the router, the state tracker, the registry.
struct Node {
    private let options: RegistryCommand
    private let logger: Logger

    init(_ options: RegistryCommand) {
        self.options = options
        logger = options.common.logger()
    }

    /// Runs until SIGTERM or SIGINT asks for the end, or a part cannot go on.
    func run() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: min(System.coreCount, 4))
        let keyPair = try IdentityFile(dataDirectory: options.dataDir).loadOrCreate()
        let store = try await NodeStore.open(options, group: group, logger: logger)
        let index = ContentIndex()

        let host = Host(
            configuration: HostConfiguration(
                listenAddresses: try options.routerAddr.multiaddrs,
                agentVersion: "spegel-swift/\(Version.text)"
            ),
            keyPair: keyPair,
            group: group,
            logger: logger
        )
        var kademlia = KademliaConfiguration()
        kademlia.providerStore.timeToLive = options.providerTtl.duration
        kademlia.reprovideInterval = options.providerRefresh.duration
        let router = DHTRouter(
            host: host,
            protocolPrefix: options.kademliaPrefix,
            registryPort: options.registryAddr.port,
            source: try options.bootstrapSource(),
            kademlia: kademlia,
            logger: logger
        )
        let registries = try options.registryNames()
        let tracker = StateTracker(
            store: store.content,
            index: index,
            router: router,
            filter: ContentFilter(registries: registries, sharesTags: options.resolveTags.isOn),
            logger: logger
        )
        let readiness: @Sendable () -> Readiness = { Readiness.all([router.readiness, tracker.readiness]) }

        var configuration = RegistryConfiguration(
            host: options.registryAddr.host ?? "",
            port: Int(options.registryAddr.port)
        )
        configuration.resolveTimeout = options.mirrorResolveTimeout.duration
        configuration.resolveRetries = options.mirrorResolveRetries
        configuration.resolveTags = options.resolveTags.isOn
        configuration.mirroredRegistries = registries
        let registry = RegistryServer(
            configuration: configuration,
            store: store.content,
            index: index,
            router: router,
            group: group,
            readiness: readiness,
            logger: logger
        )
        let metrics = MetricsServer(
            address: options.metricsAddr,
            group: group,
            sample: { Metrics.text(registry: registry.metrics, router: router.counts, index: index.counts) },
            logger: logger
        )

        try await host.start()
        // In the order of dependence: the first is started first and stopped last.
        let services: [any Service] =
            store.services
            + [HostService(host: host), router, tracker, registry, metrics, StartupService(readiness: readiness)]
        // What the group says of itself below warning is of no use to an admin.
        var quiet = logger
        quiet.logLevel = max(.warning, logger.logLevel)
        var groupConfiguration = ServiceGroupConfiguration(
            services: services,
            gracefulShutdownSignals: [.sigterm, .sigint],
            logger: quiet
        )
        groupConfiguration.maximumGracefulShutdownDuration = .seconds(30)
        groupConfiguration.maximumCancellationDuration = .seconds(5)
        logger.info(
            "starting",
            metadata: ["version": "\(Version.text)", "peer": "\(keyPair.peerID)", "store": "\(store.name)"]
        )
        try await ServiceGroup(configuration: groupConfiguration).run()
        logger.info("stopped")
    }
}

/// Keeps the libp2p host for as long as the node runs.
private struct HostService: Service {
    let host: Host

    func run() async throws {
        try? await gracefulShutdown()
        await host.shutdown()
    }
}

/// Gives back what the start needed once the node is ready, then only waits for the end.
private struct StartupService: Service {
    let readiness: @Sendable () -> Readiness

    func run() async throws {
        try? await cancelWhenGracefulShutdown {
            while case .notReady = readiness() { try await Task.sleep(for: .seconds(1)) }
            try await Task.sleep(for: .seconds(2))
            StartupMemory.release()
            try await gracefulShutdown()
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
