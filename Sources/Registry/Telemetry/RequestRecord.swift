/// The record of a request that this node has answered, or whose client left.
struct RequestRecord: Sendable {
    /// The content that was asked for.
    struct Content: Sendable {
        var key: String
        var isFromPeer: Bool
        /// Whether it came from this node's own store.
        var isLocal: Bool
        /// What is counted for its registry; only where bytes of it were sent.
        var series: RegistrySeries?
    }

    var handler: RequestHandler
    /// What is counted of such answers.
    var responses: ResponseSeries
    /// 0 where the client left before there was an answer.
    var status: Int
    /// How long it took, in nanoseconds.
    var duration: Int64
    /// Bytes of the body that have left.
    var bytes: Int64
    /// How the answer ended; only for content and what is said in its place.
    var outcome: RequestOutcome?
    var content: Content?
}
