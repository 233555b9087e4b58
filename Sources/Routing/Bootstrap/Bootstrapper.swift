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
        public var lonelyInterval: Duration = .seconds(1)
        /// The wait between two looks at the source while somebody is known.
        public var interval: Duration = .seconds(30)
        /// How many peers are dialled in one try.
        public var dials = 3

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
            while !Task.isCancelled {
                await self.seek()
                do { try await self.pause() } catch { return }
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

    private func seek() async {
        let wasAlone = node.routingTableSize == 0
        var failure: String?
        do {
            let connectedPeers = Set(host.connectedPeers)
            let connected = Set(connectedPeers.flatMap { host.remoteAddresses(of: $0) }.map(\.withoutPeerID))
            let own = Set(host.listenAddresses.map(\.withoutPeerID))
            let candidates = try await source?.addresses() ?? []
            let unknown = candidates.filter { candidate in
                if let id = candidate.peerID, id == host.peerID || connectedPeers.contains(id) { return false }
                let place = candidate.withoutPeerID
                return !own.contains(place) && !connected.contains(place)
            }
            // A random choice, so that not every node dials the same first few.
            failure = await dial(unknown.shuffled().prefix(configuration.dials))
        } catch {
            failure = "\(error)"
        }
        if wasAlone { await join() }
        note(failure)
    }

    /// Waits until a peer that was connected to has passed its check, then learns of the others from it.
    private func join() async {
        let deadline = ContinuousClock.now + configuration.lonelyInterval
        while node.routingTableSize == 0, !host.connectedPeers.isEmpty, ContinuousClock.now < deadline {
            do { try await Task.sleep(for: .milliseconds(5)) } catch { return }
        }
        if node.routingTableSize > 0 { node.bootstrap() }
    }

    /// Dials all and gives the reason of one that failed, or `nil` when none did.
    private func dial(_ addresses: ArraySlice<Multiaddr>) async -> String? {
        await withTaskGroup(of: String?.self) { group in
            for address in addresses {
                group.addTask { [host, logger] in
                    do {
                        _ = try await host.connect(to: address)
                        return nil
                    } catch {
                        let reason = Host.describe(error)
                        logger.debug(
                            "a peer to start from could not be reached",
                            metadata: ["address": "\(address)", "reason": "\(reason)"]
                        )
                        return "\(address): \(reason)"
                    }
                }
            }
            return await group.reduce(nil) { $1 ?? $0 }
        }
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
