/// The settings of a ``KademliaNode``.
public struct KademliaConfiguration: Sendable {
    /// The routing table's bounds; K is ``RoutingTable/Configuration/bucketSize``.
    public var routingTable = RoutingTable.Configuration()
    /// The bounds and parameters of a lookup.
    public var lookup = Lookup.Configuration()
    /// The bounds on records held for others, and how long they live.
    public var providerStore = ProviderStore.Configuration()
    /// How often own keys are advertised again. (Spegel v0.7 has 15 minutes.)
    public var reprovideInterval: Duration = .seconds(540)
    /// The longest that a peer may take to answer, or to take a batch of records.
    public var requestTimeout: Duration = .seconds(10)
    /// How often periodic work is looked for.
    public var tick: Duration = .seconds(1)
    /// The lookups for callers that ask the network at a time; further ones wait their turn.
    public var maximumConcurrentLookups = 256
    /// The lookups for own keys at a time.
    public var maximumConcurrentProvides = 8
    /// The peers that records are sent to at a time.
    public var maximumConcurrentSends = 32
    /// The records that are sent in one go, under one deadline.
    public var sendBatchSize = 64
    /// The records that may wait to be sent; more keys are taken up as these drain.
    public var maximumPendingRecords = 100_000
    /// The admission checks at a time.
    public var maximumConcurrentAdmissions = 16
    /// The peers that may wait for their admission check; further ones are turned away until they appear again.
    public var maximumPendingAdmissions = 1024

    /// The defaults: K 20, alpha 10, beta 3, records for 10 min, advertised every 9 min, refresh every 10 min.
    public init() {}
}
