/// What a ``KademliaMachine`` has done since it was made; for metrics.
public struct KademliaStatistics: Hashable, Sendable {
    /// Searches of callers, by how they ended.
    public struct Searches: Hashable, Sendable {
        /// Answered by records held here, without the network.
        public var local = 0
        /// Ended with at least one provider after asking the network.
        public var found = 0
        /// Ended with none after asking the network.
        public var missed = 0
        /// Ended with none because that was just found out.
        public var rememberedMisses = 0
        /// Ended by the caller.
        public var cancelled = 0
        /// Turned away because too many were waiting.
        public var turnedAway = 0

        /// No searches yet.
        public init() {}
    }

    /// Records that were offered by others, by what became of them.
    public struct Offers: Hashable, Sendable {
        /// Held now and not before.
        public var added = 0
        /// Held for longer now.
        public var renewed = 0
        /// Withdrawn by their provider.
        public var withdrawn = 0
        /// Refused: told of another peer than the sender.
        public var refusedAsForeign = 0
        /// Refused: without an address, or with a key of a wrong length.
        public var refusedAsInvalid = 0
        /// Refused: the key has enough providers.
        public var refusedByKeyLimit = 0
        /// Refused: the provider has enough records.
        public var refusedByProviderLimit = 0
        /// Refused: there are enough records in all.
        public var refusedByTotalLimit = 0

        /// No offers yet.
        public init() {}

        /// All that were refused.
        public var refused: Int {
            refusedAsForeign + refusedAsInvalid + refusedByKeyLimit + refusedByProviderLimit + refusedByTotalLimit
        }
    }

    /// Requests that were sent and waited for.
    public var requests = 0
    /// Of these, those that failed or took too long.
    public var failedRequests = 0
    /// Record updates that were sent: announcements, withdrawals, departures.
    public var updatesSent = 0
    /// Provider records that were sent.
    public var recordsSent = 0
    /// Provider records that could not be sent.
    public var recordsFailed = 0
    /// Own records that were taken back at a holder.
    public var withdrawalsSent = 0
    /// Lookups in the network, for whatever reason.
    public var lookups = 0
    /// The sequential hops of all lookups that ended by themselves.
    public var hops = 0
    /// Of the lookups, those that advertised or withdrew own keys.
    public var regionLookups = 0
    /// Searches of callers.
    public var searches = Searches()
    /// Records that were offered by others.
    public var offers = Offers()
    /// Messages and record updates of others that were handled.
    public var handledMessages = 0
    /// Peers that are not in the routing table because too many of their network are.
    public var peersRefusedByAddress = 0

    /// Nothing done yet.
    public init() {}
}
