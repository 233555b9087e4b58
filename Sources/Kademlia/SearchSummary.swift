public import Multiformats

/// What a search for providers took.
public struct SearchSummary: Hashable, Sendable {
    /// How it ended.
    public enum Outcome: Hashable, Sendable {
        /// Records held here were enough.
        case local
        /// Providers were found in the network.
        case found
        /// Nobody who was asked knows a provider.
        case missed
        /// It was known from a moment ago that there is none.
        case rememberedMiss
        /// Too many searches were waiting.
        case turnedAway
    }

    /// How it ended.
    public var outcome: Outcome
    /// How many providers were found.
    public var providers: Int
    /// The sequential hops; zero without the network.
    public var hops: Int
    /// The requests that were sent.
    public var requests: Int
    /// How long it took.
    public var duration: Duration
    /// Each request, if the search was traced.
    public var trace: LookupTrace?
}

/// Who was asked in a lookup, and what came of it.
public struct LookupTrace: Hashable, Sendable {
    /// A request.
    public struct Request: Hashable, Sendable {
        /// What came of a request.
        public enum Outcome: Hashable, Sendable {
            /// It was answered, with so many closer peers and providers.
            case answered(closerPeers: Int, providers: Int)
            /// It failed or took too long.
            case failed
            /// It was not needed any more.
            case unanswered
        }

        /// Who was asked.
        public var peer: PeerInfo
        /// When, after the start of the lookup.
        public var start: Duration
        /// How long the outcome took; nil while there is none.
        public var duration: Duration?
        /// What came of it.
        public var outcome: Outcome
    }

    /// The requests in the order in which they were sent; at most ``Lookup/Configuration/maximumRequests``.
    public var requests: [Request] = []
    /// The providers, in the order in which they were found.
    public var providers: [PeerInfo] = []

    /// Nobody was asked yet.
    public init() {}
}
