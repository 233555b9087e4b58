/// What a ``KademliaNode`` has done since it was made; for metrics.
public struct KademliaStatistics: Hashable, Sendable {
    /// Requests that were sent and waited for.
    public var requests = 0
    /// Of these, those that failed or took too long.
    public var failedRequests = 0
    /// Provider records that were sent.
    public var recordsSent = 0
    /// Provider records that could not be sent.
    public var recordsFailed = 0
    /// Lookups in the network, for whatever reason.
    public var lookups = 0
    /// Calls of ``KademliaNode/findProviders(_:limit:)`` that local records answered alone.
    public var localAnswers = 0
    /// Requests of others that were handled.
    public var handledMessages = 0

    /// Nothing done yet.
    public init() {}
}
