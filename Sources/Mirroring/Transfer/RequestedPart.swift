import OCI

/// The part of some content that a peer is asked for.
package enum RequestedPart: Hashable, Sendable {
    /// All of it.
    case whole
    /// The range that the client wants.
    case range(ByteRange)
    /// The rest of content whose first part the client already has: from this byte on.
    case rest(of: PromisedContent, from: Int64)

    /// The value of the `Range` header.
    package var headerValue: String? {
        switch self {
        case .whole: nil
        case .range(let range): range.headerValue
        case .rest(let content, let offset):
            ByteRange.closed(first: offset, last: content.range.upperBound - 1).headerValue
        }
    }
}
