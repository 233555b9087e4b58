import Kademlia
import LibP2P
import Logging
import Multiformats
import ServiceLifecycle
import Synchronization

/// Brings the node into the network and back into it: dials peers from a source until it knows somebody, and looks
/// at the source again now and then, so that networks that were apart find each other.
public final class Bootstrapper: Service {
    /// How often peers are sought.
    public struct Configuration: Sendable {
        /// The longest wait between two tries while nobody is known; each is drawn from its upper half.
        public var lonelyInterval: Duration = .milliseconds(800)
        /// The wait between two looks at the source while somebody is known.
        public var interval: Duration = .seconds(30)
        /// How many peers are dialled in one try.
        public var dials = 3
        /// How many dials may be under way: one that hangs does not hold the next try up.
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
        var saidAlone = false
        var failure: String?
        /// The addresses that are being dialled.
        var dialled: Set<Multiaddr> = []
    }

    /// Makes a bootstrapper; without a source the node waits for others to come.
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

    /// Ready once the source was tried. A node that is alone can serve its own content and says that it is alone.
    public var readiness: Readiness {
        let peers = node.routingTableSize
        if peers > 0 { return .ready("\(peers) peers") }
        return state.withLock { state in
            guard state.hasTried else { return .notReady("looking for peers") }
            return .ready("alone" + (state.failure.map { ": \($0)" } ?? ""))
        }
    }

    /// Seeks peers until the task is cancelled or the service shuts down.
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

    /// Waits for the next try: long while somebody is known, but not past the moment when nobody is any more.
    private func pause() async throws {
        let lonely = configuration.lonelyInterval
        let next = ContinuousClock.now + configuration.interval
        repeat {
            try await Task.sleep(for: lonely * Double.random(in: 0.5...1))
        } while node.routingTableSize > 0 && ContinuousClock.now < next
    }

    /// Looks at the source and begins to dial some of those that are not connected.
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

    /// Those of the candidates that there is neither a connection nor a dial to.
    private func unknown(_ candidates: [Multiaddr], _ state: State) -> [Multiaddr] {
        let connectedPeers = Set(host.connectedPeers)
        let connected = Set(connectedPeers.flatMap { host.remoteAddresses(of: $0) }.map(\.withoutPeerID))
        let own = Set(host.listenAddresses.map(\.withoutPeerID))
        return candidates.filter { candidate in
            if let id = candidate.peerID, id == host.peerID || connectedPeers.contains(id) { return false }
            let place = candidate.withoutPeerID
            return !own.contains(place) && !connected.contains(place) && !state.dialled.contains(candidate)
        }
    }

    /// A random choice, so that not every node dials the same first few.
    static func choice(
        of candidates: [Multiaddr],
        count: Int,
        using generator: inout some RandomNumberGenerator
    ) -> [Multiaddr] {
        Array(candidates.shuffled(using: &generator).prefix(max(0, count)))
    }

    /// Dials, and joins the network through whoever answers.
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
                "a peer to start from could not be reached",
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

    /// Waits until a peer that was connected to has passed its check, then learns of the others from it.
    private func join() async {
        let deadline = ContinuousClock.now + configuration.lonelyInterval
        while node.routingTableSize == 0, !host.connectedPeers.isEmpty, ContinuousClock.now < deadline {
            do { try await Task.sleep(for: .milliseconds(5)) } catch { return }
        }
        if node.routingTableSize > 0 { node.bootstrap() }
    }

    private func note(_ failure: String?) {
        let peers = node.routingTableSize
        let (becameAlone, joined) = state.withLock { state in
            state.hasTried = true
            state.failure = failure
            let isAlone = peers == 0
            defer { state.saidAlone = isAlone }
            return (isAlone && !state.saidAlone, !isAlone && state.saidAlone)
        }
        if becameAlone {
            var metadata: Logger.Metadata = [:]
            if let failure { metadata["reason"] = "\(failure)" }
            logger.info("no other node is in reach; serving what is held here and looking on", metadata: metadata)
        } else if joined {
            logger.info("joined the network", metadata: ["peers": "\(peers)"])
        }
    }
}
