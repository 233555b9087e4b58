import Logging
import Multiformats
import Synchronization

@testable import Kademlia

/// Nodes in one process, connected by a transport of encoded messages.
final class MemoryNetwork: Sendable {
    struct Unreachable: Error {}

    private struct State {
        var nodes: [PeerID: KademliaNode] = [:]
        var silent: Set<PeerID> = []
        var requests = 0
        var underWay = 0
    }

    private let state = Mutex(State())

    /// The number of sent requests, and of those without a reply yet.
    var requests: Int { state.withLock { $0.requests } }
    var underWay: Int { state.withLock { $0.underWay } }

    func makeNode(
        _ number: Int,
        _ change: (inout KademliaConfiguration) -> Void = { _ in },
        onRecordAdded: (@Sendable (KeySpacePosition, PeerInfo) -> Void)? = nil
    ) throws -> KademliaNode {
        let info = try testPeer(number)
        var configuration = KademliaConfiguration()
        change(&configuration)
        let node = KademliaNode(
            localPeer: info.id,
            localAddresses: { info.addresses },
            configuration: configuration,
            transport: Transport(network: self, local: info),
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
            onRecordAdded: onRecordAdded
        )
        state.withLock { $0.nodes[info.id] = node }
        return node
    }

    func remove(_ id: PeerID) {
        state.withLock { $0.nodes[id] = nil }
    }

    /// Makes a node accept requests without replying.
    func silence(_ id: PeerID) {
        state.withLock { _ = $0.silent.insert(id) }
    }

    fileprivate func deliver(_ message: Message, from sender: PeerInfo, to peer: PeerInfo) async throws -> Message? {
        try await withNode(of: sender, to: peer) { node in
            guard let reply = node.handle(try Message(decoding: message.encoded()), from: sender.id) else { return nil }
            return try Message(decoding: reply.encoded())
        }
    }

    fileprivate func deliver(_ update: RecordUpdate, from sender: PeerInfo, to peer: PeerInfo) async throws {
        try await withNode(of: sender, to: peer) { node in
            node.handle(try RecordUpdate(decoding: update.encoded()), from: sender.id)
        }
    }

    private func withNode<Result>(
        of sender: PeerInfo,
        to peer: PeerInfo,
        _ body: (KademliaNode) throws -> Result
    ) async throws -> Result {
        let (node, isSilent) = state.withLock { state in
            state.requests += 1
            state.underWay += 1
            return (state.nodes[peer.id], state.silent.contains(peer.id))
        }
        defer { state.withLock { $0.underWay -= 1 } }
        await Task.yield()
        if isSilent { try await Task.sleep(for: .seconds(3600)) }
        guard let node else { throw Unreachable() }
        // As on a real connection, each side learns of the other.
        node.peerAppeared(sender)
        return try body(node)
    }

    private struct Transport: KademliaTransport {
        let network: MemoryNetwork
        let local: PeerInfo

        func request(_ message: Message, to peer: PeerInfo) async throws -> Message {
            guard let reply = try await network.deliver(message, from: local, to: peer) else { throw Unreachable() }
            return reply
        }

        func send(_ update: RecordUpdate, to peer: PeerInfo) async throws {
            try await network.deliver(update, from: local, to: peer)
        }
    }
}

/// Waits until a condition holds.
///
/// - Returns: `false` if it did not within 60 seconds.
func eventually(_ condition: () async -> Bool) async -> Bool {
    let end = ContinuousClock.now + .seconds(60)
    while await !condition() {
        guard ContinuousClock.now < end, !Task.isCancelled else { return false }
        try? await Task.sleep(for: .milliseconds(5))
    }
    return true
}

extension KademliaNode {
    var activeSearchCount: Int { state.withLock { $0.machine.activeSearchCount } }

    var activeOperationCount: Int { state.withLock { $0.tasks.count } }

    func providers(of key: Key, limit: Int = 5) async -> Set<PeerID> {
        var found: Set<PeerID> = []
        for await provider in providers(of: key, limit: limit, began: {}) { found.insert(provider.id) }
        return found
    }

    /// The found providers; cancelling the consumer ends the search.
    func providers(of key: Key, limit: Int, began: @escaping @Sendable () -> Void) -> AsyncStream<PeerInfo> {
        AsyncStream { continuation in
            let listener = ProviderListener(
                began: began,
                found: { continuation.yield($0) },
                ended: { continuation.finish() }
            )
            guard let id = findProviders(key, limit: limit, listener) else { return }
            continuation.onTermination = { if case .cancelled = $0 { self.cancelSearch(id) } }
        }
    }
}
