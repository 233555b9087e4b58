import OCI

/// A request for a manifest or a blob.
struct ContentRequest: Hashable, Sendable {
    /// What is asked for.
    var content: DistributionRequest
    /// The key under which its providers are found.
    var key: String
    /// Whether the client asks for the head alone.
    var isHead: Bool
    /// The range; only of a blob with GET, the one method for which RFC 9110 defines ranges.
    var range: ByteRange?
    /// What the client has already: the node does not send it again.
    var noneMatch: EntityTagCondition?
    /// Whether a peer asks, whose request this node never forwards.
    var isFromPeer: Bool
    /// Whether the request comes from outside the cluster, as a header says that the client's configuration adds.
    var isExternal = false
    /// Whether the peer asks for content whose digest this node has verified before it sends anything.
    var wantsCheck = false

    /// Whether the client has this content already.
    func hasAlready(_ digest: Digest) -> Bool { noneMatch?.matches(digest) == true }
}
