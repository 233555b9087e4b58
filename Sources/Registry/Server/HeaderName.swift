/// The names of header fields that the registry reads or writes, each once.
enum HeaderName {
    static let accept = "Accept"
    static let acceptRanges = "Accept-Ranges"
    static let allow = "Allow"
    static let authorization = "Authorization"
    static let connection = "Connection"
    static let contentLength = "Content-Length"
    static let contentRange = "Content-Range"
    static let contentType = "Content-Type"
    static let digest = "Docker-Content-Digest"
    static let apiVersion = "Docker-Distribution-Api-Version"
    static let entityTag = "ETag"
    static let expect = "Expect"
    static let host = "Host"
    static let ifNoneMatch = "If-None-Match"
    static let ifRange = "If-Range"
    static let range = "Range"
    static let retryAfter = "Retry-After"
    static let upgrade = "Upgrade"
    static let userAgent = "User-Agent"
    static let authenticate = "WWW-Authenticate"
    /// In an answer with content: the registry that the request has named with `ns`. OCI distribution-spec, "Registry
    /// Proxying".
    static let namespace = "OCI-Namespace"

    /// Marks a request from another node.
    static let mirrored = "X-Spegel-Mirrored"
    /// In a request from another node that doubts what it got: the holder verifies the digest of its copy first.
    static let check = "X-Spegel-Check"
    /// In the answer to such a request: the holder has verified its copy.
    static let checked = "X-Spegel-Checked"
    /// In a request from another node: the proof that it belongs to the cluster. In the answer for a tag: the holder's proof.
    static let proof = "X-Spegel-Proof"
    /// In an answer to another node: the zone of this one.
    static let zone = "X-Spegel-Zone"
    /// Marks a request from outside the cluster; it only matters for metrics.
    static let external = "X-Spegel-External"
    /// In a relayed answer: the registry address of the peer that it comes from.
    static let source = "X-Spegel-Source"
}
