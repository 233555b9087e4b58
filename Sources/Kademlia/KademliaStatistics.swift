/// The counters of a ``KademliaMachine`` since its creation, for metrics.
public struct KademliaStatistics: Hashable, Sendable {
    /// Callers' searches by outcome.
    public struct Searches: Hashable, Sendable {
        /// Ended with local records, without the network.
        public var local = 0
        /// Ended with at least one provider from the network.
        public var found = 0
        /// Ended without a provider after asking the network.
        public var missed = 0
        /// Ended without a provider because of a remembered miss.
        public var rememberedMisses = 0
        /// Cancelled by the caller.
        public var cancelled = 0
        /// Rejected because too many searches were queued.
        public var turnedAway = 0

        /// All zero.
        public init() {}
    }

    /// Records that other peers offered, by result.
    public struct Offers: Hashable, Sendable {
        /// New records.
        public var added = 0
        /// Renewed records.
        public var renewed = 0
        /// Records that their provider withdrew.
        public var withdrawn = 0
        /// Refused: the sender is not the provider.
        public var refusedAsForeign = 0
        /// Refused: no address, or a key of invalid length.
        public var refusedAsInvalid = 0
        /// Refused: the key has the maximum number of providers.
        public var refusedByKeyLimit = 0
        /// Refused: the provider has the maximum number of records.
        public var refusedByProviderLimit = 0
        /// Refused: the store is full.
        public var refusedByTotalLimit = 0

        /// All zero.
        public init() {}
    }

    /// Sent requests.
    public var requests = 0
    /// Requests that failed or timed out.
    public var failedRequests = 0
    /// Sent record updates: announcements, withdrawals, departures.
    public var updatesSent = 0
    /// Sent provider records.
    public var recordsSent = 0
    /// Provider records whose sending failed.
    public var recordsFailed = 0
    /// Own records withdrawn at a holder.
    public var withdrawalsSent = 0
    /// Lookups in the network of all purposes.
    public var lookups = 0
    /// The sequential hops of all completed lookups.
    public var hops = 0
    /// Lookups that advertised or withdrew own keys.
    public var regionLookups = 0
    /// Callers' searches.
    public var searches = Searches()
    /// Records that other peers offered.
    public var offers = Offers()
    /// Handled messages and record updates of other nodes.
    public var handledMessages = 0
    /// Peers that were not admitted because the table has too many of their network.
    public var peersRefusedByAddress = 0

    /// All zero.
    public init() {}
}
