public import Multiformats

/// The connection of a ``KademliaNode`` to its peers: streams of the DHT protocol, or a test's replacement.
///
/// The node enforces deadlines by cancelling the task, so each method must return soon after that. The server side of a
/// transport calls ``KademliaNode/handle(_:from:)-(Message,_)``.
public protocol KademliaTransport: Sendable {
    /// The executor of requests to a peer, best that of its connection; `nil` for the global one.
    func executor(for peer: PeerID) -> (any TaskExecutor)?

    /// Sends a request and returns the reply.
    ///
    /// - Throws: any error; the peer then counts as unreachable.
    func request(_ message: Message, to peer: PeerInfo) async throws -> Message

    /// Sends own records to a peer over one stream, and returns when it has accepted them. Uses the records protocol if
    /// the peer supports it, otherwise ``RecordUpdate/messages``, which may be empty.
    ///
    /// - Throws: any error; the peer then counts as unreachable.
    func send(_ update: RecordUpdate, to peer: PeerInfo) async throws
}

extension KademliaTransport {
    /// The global one.
    public func executor(for peer: PeerID) -> (any TaskExecutor)? { nil }
}
