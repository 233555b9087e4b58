/// The numbers of a ``RegistryServer`` that the node itself reads, at one moment, read one after the other.
public struct MetricsSnapshot: Hashable, Sendable {
    /// The transfers of a direction that run, and those that are queued.
    public struct Transfers: Hashable, Sendable {
        /// Those that run.
        public var running = 0
        /// Those that wait for their turn.
        public var waiting = 0
        /// Those that waited too long, or found the queue full, since the start.
        public var refused = 0
    }

    /// Answers since the start, by how they ended.
    public var outcomes: [RequestOutcome: Int] = [:]
    /// Bytes of content sent from the node's own store since the start.
    public var localBytes = 0
    /// Bytes of content received from peers since the start.
    public var relayedBytes = 0
    /// Attempts at peers that failed since the start.
    public var failedAttempts = 0
    /// Hedged attempts since the start.
    public var hedges = 0
    /// Answers of peers with a digest mismatch, since the start.
    public var corruptAnswers = 0
    /// Requests of clients that were rejected since the start.
    public var refusals: [ClientRejection: Int] = [:]
    /// How often a connection could not be accepted, for lack of descriptors or memory, since the start.
    public var acceptFailures = 0
    /// Client connections that are open.
    public var openConnections = 0
    /// Connections to peers that are open, idle ones included.
    public var peerConnections = 0
    /// Requests that are being answered.
    public var requestsInFlight = 0
    /// Transfers from peers that are under way.
    public var mirrorsInFlight = 0
    /// The bodies that are sent to other nodes.
    public var uploads = Transfers()
    /// The blobs that are fetched from other nodes.
    public var downloads = Transfers()
}
