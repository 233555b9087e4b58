import OCI

/// The content that a peer promises in its response head, and so a mirror in its own: which part of what.
package struct PromisedContent: Hashable, Sendable {
    /// The size of the whole content in bytes.
    package var size: Int64
    /// The part that goes to the client; all of it unless the client asked for a range.
    package var range: Range<Int64>
    /// Whether the status is 206 and not 200.
    package var isPartial: Bool
    /// The value of `Content-Type`.
    package var mediaType: String
    /// The requested digest, or the one that the first peer gave for the tag.
    package var digest: Digest?

    package init(size: Int64, range: Range<Int64>, isPartial: Bool, mediaType: String, digest: Digest?) {
        self.size = size
        self.range = range
        self.isPartial = isPartial
        self.mediaType = mediaType
        self.digest = digest
    }

    /// How many bytes the part has.
    package var length: Int64 { range.upperBound - range.lowerBound }

    /// Whether the part is all of the content, so that its digest can be verified.
    package var isWhole: Bool { range == 0..<size }
}
