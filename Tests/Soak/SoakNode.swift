import Kademlia
import LibP2P
import Logging
import Multiformats
import NIOPosix
import Routing
import Synchronization

/// A node of the cluster: a host, its router, and the task that runs it.
final class SoakNode: Sendable {
    let host: Host
    let router: DHTRouter
    /// The start time.
    let start: ContinuousClock.Instant
    private let running: Task<Void, Never>

    /// Starts a node with the peers in `bootstrap`.
    ///
    /// - Parameter address: a loopback address of its own.
    init(
        keyPair: KeyPair,
        address: String,
        bootstrap: [Multiaddr],
        timing: SoakTiming,
        logger: Logger
    ) async throws {
        var settings = HostConfiguration(
            listenAddresses: [try Multiaddr("/ip4/\(address)/tcp/0")],
            agentVersion: "spegel-soak"
        )
        settings.shutdownTimeout = .seconds(5)
        settings.streamLinger = .seconds(2)
        let host = Host(
            configuration: settings,
            keyPair: keyPair,
            group: MultiThreadedEventLoopGroup.singleton,
            logger: logger
        )
        try await host.start()
        let router = DHTRouter(
            host: host,
            protocolPrefix: "/soak",
            registryPort: 5000,
            source: StaticBootstrap(bootstrap),
            kademlia: timing.kademlia,
            bootstrap: timing.bootstrap,
            logger: logger
        )
        self.host = host
        self.router = router
        start = ContinuousClock.now
        running = Task { try? await router.run() }
    }

    var peerID: String { "\(host.peerID)" }

    /// Ends the node. With `keys` it withdraws them before, as in an orderly departure.
    ///
    /// - Returns: the part that did not end within the limit, if any.
    func stop(withdrawing keys: [String], within limit: Duration = .seconds(30)) async -> String? {
        let stage = Mutex("its task")
        let end = Task {
            await stop(withdrawing: keys) { next in stage.withLock { $0 = next } }
            stage.withLock { $0 = "" }
        }
        let deadline = ContinuousClock.now + limit
        while ContinuousClock.now < deadline {
            if stage.withLock({ $0.isEmpty }) {
                await end.value
                return nil
            }
            try? await Task.sleep(for: .milliseconds(5))
        }
        return stage.withLock { $0 }
    }

    private func stop(withdrawing keys: [String], next: (String) -> Void) async {
        if !keys.isEmpty {
            await router.withdraw(keys)
            try? await Task.sleep(for: .milliseconds(50))
        }
        running.cancel()
        await running.value
        next("its host")
        await host.shutdown()
    }

    /// The providers of a key found until `deadline`, with the duration.
    func providers(of key: String, deadline: Duration) async -> (peers: Set<String>, time: Duration) {
        let begin = ContinuousClock.now
        let lookup = Task { [router] in
            var found: Set<String> = []
            for await provider in router.providers(of: key, limit: 64) { found.insert(provider.peerID) }
            return found
        }
        let limit = Task {
            try await Task.sleep(for: deadline)
            lookup.cancel()
        }
        let found = await lookup.value
        limit.cancel()
        return (found, ContinuousClock.now - begin)
    }
}

/// Record lifetimes and intervals that let a short run cover everything.
struct SoakTiming {
    /// The lifetime of a record.
    let timeToLive: Duration

    /// The time after advertising, or after a node's start, within which a key must be found.
    let settling = Duration.seconds(3)

    /// The settings of the DHT.
    var kademlia: KademliaConfiguration {
        var configuration = KademliaConfiguration()
        configuration.providerStore.timeToLive = timeToLive
        configuration.reprovideInterval = timeToLive / 2
        configuration.routingTable.refreshInterval = timeToLive
        configuration.requestTimeout = .seconds(3)
        return configuration
    }

    /// The settings of bootstrapping.
    var bootstrap: Bootstrapper.Configuration {
        var configuration = Bootstrapper.Configuration()
        configuration.lonelyInterval = .milliseconds(300)
        configuration.interval = .seconds(2)
        return configuration
    }
}
