import OCI

/// What a client asks for, as far as a transfer needs to know.
package struct TransferRequest: Hashable, Sendable {
    /// Whether only the head is asked for.
    package var isHead: Bool
    /// Whether it is a manifest or a blob.
    package var kind: DistributionRequest.Kind
    /// The digest; `nil` for a request by tag.
    package var digest: Digest?
    /// The range of a blob; never with HEAD.
    package var range: ByteRange?
    /// Whether large content is hashed on its way, wherever all of it passes.
    package var mustHash: Bool
    /// The size of the whole content in bytes, if it is known.
    package var size: Int64?

    package init(
        isHead: Bool,
        kind: DistributionRequest.Kind,
        digest: Digest? = nil,
        range: ByteRange? = nil,
        mustHash: Bool = false,
        size: Int64? = nil
    ) {
        self.isHead = isHead
        self.kind = kind
        self.digest = digest
        self.range = range
        self.mustHash = mustHash
        self.size = size
    }

    /// Whether a transfer of it needs a permit. A manifest never waits behind blobs, and a head has no body.
    package var needsPermit: Bool { kind == .blob && !isHead }

    /// Whether the body is known to have at most `limit` bytes.
    package func isSmall(limit: Int64) -> Bool {
        if let size, size <= limit { return true }
        return switch range {
        case .closed(let first, let last): last - first < limit
        case .suffix(let count): count <= limit
        case .from, nil: false
        }
    }
}
