/// The parts of a request for content that its proof is about.
public struct ProvenRequest: Hashable, Sendable {
    /// The method.
    public var method: String
    /// The path with the query, as it is sent.
    public var target: String
    /// The value of the field `Range`, if there is one.
    public var range: String?
    /// Whether the holder must verify its copy first.
    public var wantsCheck: Bool
    /// The id of the peer that is asked, as its record named it.
    public var holder: String

    /// A request to a peer.
    public init(method: String, target: String, range: String?, wantsCheck: Bool, holder: String) {
        self.method = method
        self.target = target
        self.range = range
        self.wantsCheck = wantsCheck
        self.holder = holder
    }
}

/// The parts of an answer for a tag that its proof is about. A tag has no digest that the receiver could compare.
public struct ProvenAnswer: Hashable, Sendable {
    /// The status.
    public var status: Int
    /// The digest of the manifest.
    public var digest: String?
    /// Its media type.
    public var mediaType: String?
    /// Its size in bytes.
    public var length: Int64?

    /// An answer.
    public init(status: Int, digest: String?, mediaType: String?, length: Int64?) {
        self.status = status
        self.digest = digest
        self.mediaType = mediaType
        self.length = length
    }
}
