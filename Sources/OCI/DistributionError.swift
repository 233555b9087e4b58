/// An error response of the distribution API. OCI distribution-spec, "Error Codes".
public struct DistributionError: Error, Hashable, Sendable, CustomStringConvertible {
    /// An error code of the specification with its HTTP status.
    public enum Code: String, Sendable, CaseIterable {
        /// Unknown blob.
        case blobUnknown = "BLOB_UNKNOWN"
        /// Malformed digest.
        case digestInvalid = "DIGEST_INVALID"
        /// Unknown manifest.
        case manifestUnknown = "MANIFEST_UNKNOWN"
        /// Malformed repository name.
        case nameInvalid = "NAME_INVALID"
        /// Malformed reference: neither a tag nor a digest.
        case manifestInvalid = "MANIFEST_INVALID"
        /// The requested range is outside the content.
        case rangeInvalid = "RANGE_INVALID"
        /// The client must authenticate.
        case unauthorized = "UNAUTHORIZED"
        /// The client is not allowed to do this.
        case denied = "DENIED"
        /// Unsupported operation.
        case unsupported = "UNSUPPORTED"
        /// The client sends too many requests.
        case tooManyRequests = "TOOMANYREQUESTS"

        /// The HTTP status of the response.
        public var status: Int {
            switch self {
            case .blobUnknown, .manifestUnknown: 404
            case .digestInvalid, .nameInvalid, .manifestInvalid: 400
            case .rangeInvalid: 416
            case .unauthorized: 401
            case .denied: 403
            case .unsupported: 405
            case .tooManyRequests: 429
            }
        }
    }

    /// The error code.
    public let code: Code
    /// The error in words.
    public let message: String
    /// The subject of the error, such as the requested key.
    public let detail: String?

    /// Creates an error.
    public init(_ code: Code, _ message: String, detail: String? = nil) {
        self.code = code
        self.message = message
        self.detail = detail
    }

    /// The HTTP status of the response.
    public var status: Int { code.status }

    /// The error in words.
    public var description: String { "\(code.rawValue): \(message)" }

    /// The body of the response: `{"errors":[{"code":…,"message":…,"detail":…}]}`.
    public var json: String {
        let detail = detail.map { ",\"detail\":\(QuotedText.quoted($0))" } ?? ""
        return "{\"errors\":[{\"code\":\"\(code.rawValue)\",\"message\":\(QuotedText.quoted(message))\(detail)}]}"
    }
}
