import Kademlia
import LibP2P
import Logging
import Multiformats
import ServiceLifecycle
import Synchronization
import Time

/// Joins the network, and rejoins it: dials peers of a source until one is known. Later it checks the source at
/// intervals, so that separated networks find each other.
public final class Bootstrapper: Service {
    /// The intervals and limits of bootstrapping.
    public struct Configuration: Sendable {
        /// The maximum pause between attempts while no peer is known. Each pause is drawn from its upper half.
        public var lonelyInterval: Duration = .milliseconds(800)
        /// The pause between checks of the source while a peer is known.
        public var interval: Duration = .seconds(30)
        /// The maximum number of dials per attempt.
        public var dials = 3
        /// The maximum number of dials in flight. A dial that hangs does not delay the next attempt.
        public var maximumDials = 12

        /// The defaults.
        public init() {}
    }

    private let source: (any BootstrapSource)?
    private let host: Host
    private let node: KademliaNode
    private let configuration: Configuration
    private let logger: Logger
    private let state = Mutex(State())

    private struct State {
        var hasTried = false
        var report = BootstrapReport()
        var failure: String?
        /// The addresses with a dial in flight.
        var dialled: Set<Multiaddr> = []
    }

    /// Creates a bootstrapper. Without a source the node waits for other nodes to connect.
    public init(
        source: (any BootstrapSource)?,
        host: Host,
        node: KademliaNode,
        configuration: Configuration = Configuration(),
        logger: Logger
    ) {
        self.source = source
        self.host = host
        self.node = node
        self.configuration = configuration
        self.logger = logger
    }

    /// Ready after the first attempt. A node without peers serves its own content and reports that it is alone.
    public var readiness: Readiness {
        let peers = node.routingTableSize
        if peers > 0 { return .ready("\(peers) peers") }
        return state.withLock { state in
            guard state.hasTried else { return .notReady("looking for peers") }
            return .ready("alone" + (state.failure.map { ": \($0)" } ?? ""))
        }
    }

    /// Bootstraps until the task is cancelled or the service shuts down.
    public func run() async throws {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                while !Task.isCancelled {
                    await self.seek(&group)
                    do { try await self.pause() } catch { break }
                }
                group.cancelAll()
            }
        }
    }

    /// Waits for the next attempt: a long pause while a peer is known, which ends when the last peer is lost.
    private func pause() async throws {
        let lonely = configuration.lonelyInterval
        let next = ContinuousClock.now + configuration.interval
        repeat {
            try await Task.sleep(for: lonely * Double.random(in: 0.5...1))
            // A peer may have connected by itself.
            if node.routingTableSize > 0, state.withLock(\.report.isAlone) { note(nil) }
        } while node.routingTableSize > 0 && ContinuousClock.now < next
    }

    /// Reads the source and starts dials to some of the unconnected addresses.
    private func seek(_ group: inout DiscardingTaskGroup) async {
        do {
            let candidates = try await source?.addresses() ?? []
            var generator = SystemRandomNumberGenerator()
            let chosen = state.withLock { state in
                let room = min(configuration.dials, configuration.maximumDials - state.dialled.count)
                let chosen = Self.choice(of: unknown(candidates, state), count: room, using: &generator)
                state.dialled.formUnion(chosen)
                return chosen
            }
            if state.withLock({ $0.dialled.isEmpty }) { note(nil) }
            for address in chosen { group.addTask { await self.dial(address) } }
        } catch {
            note("\(error)")
        }
    }

    /// The candidates without a connection or a dial in flight.
    private func unknown(_ candidates: [Multiaddr], _ state: State) -> [Multiaddr] {
        let connectedPeers = Set(host.connectedPeers)
        let connected = Set(connectedPeers.flatMap { host.remoteAddresses(of: $0) }.map(\.withoutPeerID))
        let own = Set(host.listenAddresses.map(\.withoutPeerID))
        return candidates.compactMap { candidate in
            if let id = candidate.peerID, connectedPeers.contains(id) { return nil }
            let place = candidate.withoutPeerID
            // The host's own id at another address may be another node with the same identity, which only a dial shows.
            let target = candidate.peerID == host.peerID ? place : candidate
            guard !own.contains(place), !connected.contains(place), !state.dialled.contains(target) else { return nil }
            return target
        }
    }

    /// A random choice, so that nodes do not all dial the same first few.
    static func choice(
        of candidates: [Multiaddr],
        count: Int,
        using generator: inout some RandomNumberGenerator
    ) -> [Multiaddr] {
        Array(candidates.shuffled(using: &generator).prefix(max(0, count)))
    }

    /// Dials an address, and joins the network through the peer.
    private func dial(_ address: Multiaddr) async {
        let wasAlone = node.routingTableSize == 0
        var failure: String?
        do {
            _ = try await host.connect(to: address)
            if wasAlone { await join() }
        } catch {
            let reason = Host.describe(error)
            failure = "\(address): \(reason)"
            logger.debug(
                "bootstrap peer unreachable",
                metadata: ["address": "\(address)", "reason": "\(reason)"]
            )
        }
        guard !Task.isCancelled else { return }
        let isLast = state.withLock { state in
            state.dialled.remove(address)
            return state.dialled.isEmpty
        }
        if isLast { note(failure) }
    }

    /// Waits until a connected peer has passed its check, then looks up the others through it.
    private func join() async {
        let deadline = ContinuousClock.now + configuration.lonelyInterval
        while node.routingTableSize == 0, !host.connectedPeers.isEmpty, ContinuousClock.now < deadline {
            do { try await Task.sleep(for: .milliseconds(5)) } catch { return }
        }
        if node.routingTableSize > 0 { node.bootstrap() }
    }

    private func note(_ failure: String?) {
        let peers = node.routingTableSize
        let line = state.withLock { state in
            state.hasTried = true
            state.failure = failure
            return state.report.attempted(isAlone: peers == 0, failure: failure, now: .now)
        }
        switch line {
        case .alone(let reason):
            logger.info(
                "no other node reachable, serving local content",
                metadata: reason.map { ["reason": .string($0)] } ?? [:]
            )
        case .stillAlone(let reason, let time):
            logger.warning(
                "bootstrap failing, still without peers",
                metadata: ["reason": .string(reason), "seconds": .stringConvertible(time.components.seconds)]
            )
        case .joined: logger.info("joined the network", metadata: ["peers": .stringConvertible(peers)])
        case nil: break
        }
    }
}
