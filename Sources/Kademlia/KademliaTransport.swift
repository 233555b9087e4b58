public import Multiformats

/// How a ``KademliaNode`` reaches its peers: streams of the DHT protocol, or whatever a test puts in their place.
///
/// The node sets the deadlines by cancelling the task; so each method must return soon after it was cancelled. The
/// other side of a transport is ``KademliaNode/handle(_:from:)``.
public protocol KademliaTransport: Sendable {
    /// Sends a request and gives the answer.
    ///
    /// - Throws: whatever stands in the way; the peer is then taken to be unreachable.
    func request(_ message: Message, to peer: PeerInfo) async throws -> Message

    /// Sends a message that has no answer, which is ADD_PROVIDER.
    ///
    /// - Throws: whatever stands in the way; the peer is then taken to be unreachable.
    func send(_ message: Message, to peer: PeerInfo) async throws

    /// Sends messages that have no answer, in order; a transport that can does so over one stream.
    ///
    /// - Throws: whatever stands in the way; the peer is then taken to be unreachable.
    func send(_ messages: [Message], to peer: PeerInfo) async throws
}

extension KademliaTransport {
    /// Sends one message after another.
    public func send(_ messages: [Message], to peer: PeerInfo) async throws {
        for message in messages { try await send(message, to: peer) }
    }
}
