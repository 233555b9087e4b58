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

/// A node with its parts: the store, the router, the registry, the state tracker and monitoring.
///
/// As a service it runs until it shuts down gracefully, or a part fails.
struct Node: Service {
    /// The time for a shutdown beyond the grace period of transfers.
    private static let shutdownMargin = Duration.seconds(4)
    /// The time for the tracker to process one change of the store, or to read all of it.
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

    /// Logs why the node does not have the identity of its data folder, if it does not.
    private func report(_ identity: NodeIdentity) {
        let folder = Logger.MetadataValue.string(options.dataDir)
        switch identity.origin {
        case .folder: break
        case .replaced(let kept, let kind):
            logger.warning(
                "data folder belongs to another machine, created a new identity",
                metadata: ["folder": folder, "kept": .string(kept), "differs": .string(kind.rawValue)]
            )
        case .temporaryOnCopy(let reason):
            logger.warning(
                "data folder belongs to another machine and is not writable, using a temporary identity",
                metadata: ["folder": folder, "reason": .string(reason)]
            )
        case .temporaryBesideProcess:
            logger.warning(
                "another process uses the data folder, using a temporary identity",
                metadata: ["folder": folder]
            )
        }
        if let reason = identity.unnamed {
            logger.info("cannot name the machine in the data folder", metadata: ["reason": .string(reason)])
        }
    }

    /// What is to be done while another node has this node's identity; `nil` while none is known.
    private func uniqueness(of host: Host) -> Readiness? {
        host.sharedIdentityAddress.map { address in
            .notReady(
                "the node at \(address) has the same identity: delete \(options.dataDir)/private.key on one of the two "
                    + "and restart it"
            )
        }
    }

    private func run(on group: MultiThreadedEventLoopGroup) async throws {
        let identity = try IdentityFile(dataDirectory: options.dataDir)
            .loadOrCreate(on: MachineNames(node: options.nodeName))
        // It holds the lock on the data folder.
        defer { withExtendedLifetime(identity) {} }
        report(identity)
        let keyPair = identity.keyPair
        let authentication = try options.authentication(logger: logger)
        let clusterKey = try options.clusterKey(logger: logger)
        let store = try await NodeStore.open(options, group: group, logger: logger)
        let index = ContentIndex()
        let metrics = MetricRegistry(SpegelMetrics.families)
        let liveness = LivenessMonitor(group: group)
        let drain = Drain()

        var configuration = try options.registryConfiguration()
        let zones = PeerZones()
        var hostConfiguration = try options.hostConfiguration()
        hostConfiguration.membership = clusterKey?.ring
        hostConfiguration.onDialled = { kind, time in
            metrics.record(time, in: "libp2p_swarm_handshake_latency_seconds", kind.labels)
        }
        let host = Host(
            configuration: hostConfiguration,
            keyPair: keyPair,
            group: group,
            logger: logger
        )
        let bootstrap = try NodeBootstrap(options, host: host, group: group, logger: logger)
        let router = DHTRouter(
            host: host,
            protocolPrefix: options.kademliaPrefix,
            registryPort: options.registryAddr.port,
            source: bootstrap.source,
            zones: zones,
            kademlia: options.kademliaConfiguration,
            logger: logger
        )
        let labels = RegistryLabels(configured: configuration.filter.registries)
        let tracker = StateTracker(
            store: store.content,
            index: index,
            router: router,
            filter: configuration.filter,
            logger: logger,
            onRegistries: { labels.learn($0.sorted()) }
        )
        liveness.watch("the state tracker", deadline: Self.trackerDeadline) { tracker.lastMove }
        let contentFolder = store.containerd.map { ContentFolderService(store: $0, logger: logger) }
        let mirrorProbe = MirrorProbeService(try options.ownTargets(), group: group, logger: logger)
        let readiness: @Sendable () -> Readiness = {
            let notes = [contentFolder?.note, mirrorProbe.note].compactMap { $0.map(Readiness.ready) }
            if drain.hasBegun { return .notReady("shutting down") }
            return .all([uniqueness(of: host), router.readiness, tracker.readiness].compactMap { $0 } + notes)
        }

        configuration.authentication = authentication
        configuration.sendsPassword = options.basicAuthToPeers == .plain
        configuration.membership = clusterKey?.ring
        configuration.peerID = "\(keyPair.peerID)"
        configuration.access = try options.clientAccess(hasKey: clusterKey != nil, hasPassword: authentication != nil)
        configuration.peerZones = zones
        configuration.peers.isNear = { address in
            host.listenAddresses.contains { $0.ipAddress?.sharesNetwork(with: address) ?? false }
        }
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
        let idleChecks =
            options.idleChecks.isOn
            ? IdleChecks(store.content, index: index, traffic: { registry.contentRequests }) : nil
        let report = NodeReport(
            peerID: keyPair.peerID,
            storeName: store.name,
            store: store.content,
            idleChecks: idleChecks,
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
            zone: configuration.zone,
            zones: zones,
            group: group,
            roundTrips: RoundTrips(host: host)
        )
        metrics.collect { report.collect(into: &$0) }
        // Not the gateway: a pod's connection may come from there, too.
        let ownAddresses = OwnAddresses(includesGateway: false)
        let pages = DebugPages(
            report,
            hosts: DebugHosts(names: try options.debugHostNames()),
            access: DebugAccess(isOwn: { ownAddresses.contains($0) }, authentication: authentication)
        )
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
        // The first starts first and stops last: the node withdraws its records before the registry stops to listen, and
        // monitoring works until the end.
        var services: [any Service] =
            [output, monitoring, liveness] + store.services
            + [HostService(host: host), router, registry, tracker, mirrorProbe, MemoryService(readiness: readiness)]
        if let idleChecks { services.append(IdleCheckService(checks: idleChecks)) }
        if let authentication { services.append(authentication) }
        if let clusterKey {
            clusterKey.whenChanged { await host.closeFormerMembers() }
            services.append(clusterKey)
        }
        if let containerd = store.containerd {
            if let contentFolder { services.append(contentFolder) }
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
        // The node releases a Lease before it waits for transfers in flight.
        services += bootstrap.services
        // An admin does not need the group's own messages below warning.
        var quiet = logger
        quiet.logLevel = max(.warning, logger.logLevel)
        var groupConfiguration = ServiceGroupConfiguration(services: services, logger: quiet)
        groupConfiguration.maximumGracefulShutdownDuration = options.shutdownGrace.duration + Self.shutdownMargin
        // Longer than the deadline of a call to containerd, which may not notice its cancellation.
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

/// The state of shutdown: whether it has begun.
private final class Drain: Sendable {
    private let flag = Atomic(false)

    var hasBegun: Bool { flag.load(ordering: .relaxed) }

    func begin() { flag.store(true, ordering: .relaxed) }
}

/// Keeps the libp2p host while the node runs.
private struct HostService: Service {
    let host: Host

    func run() async throws {
        try? await gracefulShutdown()
        await host.shutdown()
    }
}

/// Returns the memory that the start needed once the node is ready, and then what bursts leave behind.
private struct MemoryService: Service {
    /// A run takes about a millisecond.
    private static let trimInterval = Duration.seconds(30)

    let readiness: @Sendable () -> Readiness

    func run() async throws {
        try? await cancelWhenGracefulShutdown {
            while case .notReady = readiness() { try await Task.sleep(for: .seconds(1)) }
            try await Task.sleep(for: .seconds(2))
            SpareMemory.releaseCode()
            SpareMemory.trimHeap()
            // Now the node knows its peers.
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
    /// Ready if all parts are, else the reason of the first that is not.
    fileprivate static func all(_ parts: [Readiness]) -> Readiness {
        var states: [String] = []
        for part in parts {
            guard case .ready(let state) = part else { return part }
            states.append(state)
        }
        return .ready(states.joined(separator: ", "))
    }
}
