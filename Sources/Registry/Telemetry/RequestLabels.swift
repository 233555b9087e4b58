/// The part of the server that a request is for; Spegel v0.7 has these names for its handlers.
enum RequestHandler: Int, Sendable, CaseIterable {
    case content
    case ready
    case live
    case other

    /// The value of the label `handler`.
    var label: String {
        switch self {
        case .content: "/v2/*"
        case .ready: "/readyz"
        case .live: "/livez"
        case .other: "other"
        }
    }
}

/// The method of a request, as metrics tell it apart.
enum RequestMethod: Int, Sendable, CaseIterable {
    case get
    case head
    case other

    /// The value of the label `method`.
    var label: String {
        switch self {
        case .get: "GET"
        case .head: "HEAD"
        case .other: "other"
        }
    }
}

/// How the search for the first provider of a key ended.
enum LookupOutcome: Int, Sendable, CaseIterable {
    case found
    case notFound
    case timedOut
    case cancelled

    /// The value of the label `outcome`.
    var label: String {
        switch self {
        case .found: "found"
        case .notFound: "not_found"
        case .timedOut: "timed_out"
        case .cancelled: "cancelled"
        }
    }
}

/// How the answer to a request for content ended.
public enum RequestOutcome: String, Sendable, CaseIterable {
    /// Served from the node's own store.
    case local
    /// Relayed from a peer, whole.
    case mirrored
    /// No node had it: 404.
    case notFound = "not_found"
    /// The request itself was wrong: another 4xx.
    case rejected
    /// This node, or every peer, was too busy: 503.
    case busy
    /// Every peer failed in the middle of the body.
    case cutShort = "cut_short"
    /// The client left before the end.
    case aborted
}

/// Why a client was rejected.
public enum ClientRejection: String, Sendable, CaseIterable {
    /// Its address is not allowed: 403.
    case address
    /// It says that it is a node, and has not proven it: 403.
    case proof
    /// Its proof has expired: 403.
    case expired
    /// Its credentials are missing or wrong: 401.
    case credentials
}
