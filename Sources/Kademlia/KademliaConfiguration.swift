/// The settings of a ``KademliaMachine`` and of the ``KademliaNode`` around it.
public struct KademliaConfiguration: Sendable {
    /// The routing table's bounds; K is ``RoutingTable/Configuration/bucketSize``.
    public var routingTable = RoutingTable.Configuration()
    /// The bounds and parameters of a lookup.
    public var lookup = Lookup.Configuration()
    /// The bounds on records held for others, and how long they live. Own records are announced for as long.
    public var providerStore = ProviderStore.Configuration()
    /// How often own keys are advertised again. (Spegel v0.7 has 15 minutes.)
    public var reprovideInterval: Duration = .seconds(540)
    /// How long a record is valid at least that came by ADD_PROVIDER, which has no field for it. Nodes of Spegel v0.7
    /// renew theirs every 15 minutes and let those of others live for 19.
    public var plainRecordLife: Duration = .seconds(1140)
    /// How long new keys are gathered before they are advertised.
    public var coalescingDelay: Duration = .milliseconds(10)
    /// The longest that a peer may take to answer, or to take a batch of records.
    public var requestTimeout: Duration = .seconds(10)
    /// How long it is remembered that nobody has a key.
    public var missLifetime: Duration = .milliseconds(250)
    /// How long a peer is not offered for a key that it was just found not to have.
    public var exclusionLifetime: Duration = .seconds(30)
    /// How long a peer is not offered for a key for which it sent something wrong.
    public var corruptionLifetime: Duration = .seconds(600)
    /// The misses, and the exclusions of each kind, that are remembered.
    public var maximumRemembered = 4096
    /// The lookups for callers that ask the network at a time; further ones wait their turn.
    public var maximumConcurrentLookups = 256
    /// The lookups for callers that wait their turn; further ones end with what is known.
    public var maximumWaitingLookups = 4096
    /// The lookups for own keys at a time.
    public var maximumConcurrentProvides = 16
    /// The peers that records are sent to at a time.
    public var maximumConcurrentSends = 32
    /// The keys that are sent in one go, under one deadline.
    public var sendBatchSize = 512
    /// The records that may wait to be sent; more keys are taken up as these drain.
    public var maximumPendingRecords = 100_000
    /// The admission checks at a time.
    public var maximumConcurrentAdmissions = 16
    /// The peers that may wait for their admission check; further ones are turned away until they appear again.
    public var maximumPendingAdmissions = 1024

    /// The defaults: K 20, alpha 10, beta 3, records for 10 min, advertised every 9 min, refresh every 10 min.
    public init() {}
}
