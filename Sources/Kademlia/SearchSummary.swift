public import Multiformats

/// The result and cost of a search for providers.
public struct SearchSummary: Hashable, Sendable {
    /// The outcome of a search.
    public enum Outcome: Hashable, Sendable {
        /// Local records sufficed.
        case local
        /// The network returned providers.
        case found
        /// No asked peer knows a provider.
        case missed
        /// A recent lookup had found none.
        case rememberedMiss
        /// Too many searches were queued.
        case turnedAway
    }

    /// The outcome.
    public var outcome: Outcome
    /// The number of found providers.
    public var providers: Int
    /// The sequential hops; zero without the network.
    public var hops: Int
    /// The number of sent requests.
    public var requests: Int
    /// The duration.
    public var duration: Duration
    /// All requests, if the search was traced.
    public var trace: LookupTrace?
}

/// The requests of a lookup and their outcomes.
public struct LookupTrace: Hashable, Sendable {
    /// A request.
    public struct Request: Hashable, Sendable {
        /// The outcome of a request.
        public enum Outcome: Hashable, Sendable {
            /// The peer replied with this many closer peers and providers.
            case answered(closerPeers: Int, providers: Int)
            /// The request failed or timed out.
            case failed
            /// The lookup ended before the reply.
            case unanswered
        }

        /// The peer.
        public var peer: PeerInfo
        /// The time after the start of the lookup.
        public var start: Duration
        /// The time until the outcome; `nil` without one.
        public var duration: Duration?
        /// The outcome.
        public var outcome: Outcome
    }

    /// The requests in order; at most ``Lookup/Configuration/maximumRequests``.
    public var requests: [Request] = []
    /// The found providers in order.
    public var providers: [PeerInfo] = []

    /// Creates an empty trace.
    public init() {}
}
