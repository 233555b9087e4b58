import OCI

/// An answer with content that is under way, as it was at one moment, for people.
public struct LiveTransfer: Hashable, Sendable {
    /// From where to where.
    public enum Direction: String, Sendable {
        /// From another node to a client of this one.
        case received
        /// From this node's store to a client of its own.
        case served
        /// From this node's store to another node.
        case sent
    }

    /// The same for as long as the transfer lasts.
    public var id: String
    /// What is asked for.
    public var content: DistributionRequest
    /// The digest or full tag name.
    public var key: String
    /// From where to where.
    public var direction: Direction
    /// The address of the registry that it comes from; `nil` when that is this node's, or none was found yet.
    public var source: String?
    /// The address of the client.
    public var client: String?
    /// The bytes of the body that have left.
    public var bytes: Int64
    /// The bytes of the body in all; `nil` before the answer has begun.
    public var size: Int64?
    /// How long it has taken so far.
    public var duration: Duration
}
