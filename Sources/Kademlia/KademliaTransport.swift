public import Multiformats

/// How a ``KademliaNode`` reaches its peers: streams of the DHT protocol, or whatever a test puts in their place.
///
/// The node sets the deadlines by cancelling the task; so each method must return soon after it was cancelled. The
/// other side of a transport is ``KademliaNode/handle(_:from:)-(Message,_)``.
public protocol KademliaTransport: Sendable {
    /// Sends a request and gives the answer.
    ///
    /// - Throws: whatever stands in the way; the peer is then taken to be unreachable.
    func request(_ message: Message, to peer: PeerInfo) async throws -> Message

    /// Tells a peer of own records, over one stream, and returns when it has taken them: by the records protocol if the
    /// peer speaks it, else by ``RecordUpdate/messages``, of which there may be none.
    ///
    /// - Throws: whatever stands in the way; the peer is then taken to be unreachable.
    func send(_ update: RecordUpdate, to peer: PeerInfo) async throws
}
