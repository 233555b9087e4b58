/// Why a transfer cannot use a peer's response head.
package enum PeerRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    case notFound
    case status(Int)
    case missingLength
    case missingMediaType
    case wrongMediaType(String)
    case encoded
    case wrongDigest(String?)
    case wrongRange(String?)
    case wrongLength(Int64, expected: Int64)
    /// The peer promises no bytes for content that is not empty.
    case empty
    case tooLarge(Int64)
    case rangeIgnored
    case unchecked
    /// The answer for a tag has no valid proof of a node of the cluster.
    case unproven

    package var description: String {
        switch self {
        case .notFound: "content not found"
        case .status(let status): "status \(status)"
        case .missingLength: "no Content-Length"
        case .missingMediaType: "no Content-Type for a manifest"
        case .wrongMediaType(let type): "media type mismatch: manifest sent as \(type)"
        case .encoded: "unexpected Content-Encoding"
        case .wrongDigest(let digest): "digest mismatch in the head: \(digest ?? "(none)")"
        case .wrongRange(let range): "Content-Range mismatch: \(range ?? "(none)")"
        case .wrongLength(let length, let expected): "length mismatch: \(length) bytes instead of \(expected)"
        case .empty: "digest mismatch: empty body"
        case .tooLarge(let length): "manifest too large: \(length) bytes"
        case .rangeIgnored: "range ignored"
        case .unproven: "answer for a tag without a proof of the cluster key or password"
        case .unchecked: "content not verified as requested"
        }
    }
}
