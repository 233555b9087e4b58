/// The settings of a ``KademliaMachine`` and of the ``KademliaNode`` around it.
public struct KademliaConfiguration: Sendable {
    /// The limits of the routing table; K is ``RoutingTable/Configuration/bucketSize``.
    public var routingTable = RoutingTable.Configuration()
    /// The limits and parameters of a lookup.
    public var lookup = Lookup.Configuration()
    /// The limits of records of other peers, and their lifetime. Own records are announced with the same lifetime.
    public var providerStore = ProviderStore.Configuration()
    /// The interval of advertising own keys. (Spegel v0.7: 15 minutes.)
    public var reprovideInterval: Duration = .seconds(540)
    /// The minimum lifetime of a record from ADD_PROVIDER, which has no field for it. Nodes of Spegel v0.7 reprovide
    /// every 15 minutes and keep records for 19.
    public var plainRecordLife: Duration = .seconds(1140)
    /// How long new keys are gathered before they are advertised.
    public var coalescingDelay: Duration = .milliseconds(10)
    /// The deadline of a request, or of a batch of records.
    public var requestTimeout: Duration = .seconds(10)
    /// How long a miss is remembered: no peer had the key.
    public var missLifetime: Duration = .milliseconds(250)
    /// How long a peer is not offered for a key that it did not have.
    public var exclusionLifetime: Duration = .seconds(30)
    /// How long a peer is not offered for a key for which it sent corrupt content.
    public var corruptionLifetime: Duration = .seconds(600)
    /// The maximum number of remembered misses, and of exclusions of each kind.
    public var maximumRemembered = 4096
    /// The maximum number of callers' lookups in the network at a time. More are queued.
    public var maximumConcurrentLookups = 256
    /// The maximum number of callers' lookups in the queue. More end as overloaded.
    public var maximumWaitingLookups = 4096
    /// The maximum number of lookups for own keys at a time.
    public var maximumConcurrentProvides = 16
    /// The maximum number of peers that records are sent to at a time.
    public var maximumConcurrentSends = 32
    /// The maximum number of keys in a batch, with one deadline.
    public var sendBatchSize = 512
    /// The maximum number of records that wait to be sent. More keys follow as these are sent.
    public var maximumPendingRecords = 100_000
    /// The maximum number of admission checks at a time.
    public var maximumConcurrentAdmissions = 16
    /// The maximum number of peers that wait for their admission check. More are ignored until they appear again.
    public var maximumPendingAdmissions = 1024

    /// The defaults: K 20, alpha 10, beta 3, records for 10 min, advertised every 9 min, refresh every 10 min.
    public init() {}
}
