/// An error of the distribution API as it is answered to a client. OCI distribution-spec, "Error Codes".
public struct DistributionError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A code of the specification, with the HTTP status that goes with it here.
    public enum Code: String, Sendable, CaseIterable {
        /// The blob is not known.
        case blobUnknown = "BLOB_UNKNOWN"
        /// The digest is malformed.
        case digestInvalid = "DIGEST_INVALID"
        /// The manifest is not known.
        case manifestUnknown = "MANIFEST_UNKNOWN"
        /// The repository name is malformed.
        case nameInvalid = "NAME_INVALID"
        /// The reference is neither a tag nor a digest.
        case manifestInvalid = "MANIFEST_INVALID"
        /// The requested range lies outside of the content.
        case rangeInvalid = "RANGE_INVALID"
        /// The client must authenticate.
        case unauthorized = "UNAUTHORIZED"
        /// The client may not do this.
        case denied = "DENIED"
        /// The operation is not offered.
        case unsupported = "UNSUPPORTED"
        /// The client asks too much.
        case tooManyRequests = "TOOMANYREQUESTS"

        /// The HTTP status that is answered with the code.
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

    /// What went wrong.
    public let code: Code
    /// The same for people.
    public let message: String
    /// What it is about, such as the key that was asked for.
    public let detail: String?

    /// Makes an error.
    public init(_ code: Code, _ message: String, detail: String? = nil) {
        self.code = code
        self.message = message
        self.detail = detail
    }

    /// The HTTP status that is answered.
    public var status: Int { code.status }

    /// The error in words.
    public var description: String { "\(code.rawValue): \(message)" }

    /// The body of the answer: `{"errors":[{"code":…,"message":…,"detail":…}]}`.
    public var json: String {
        let detail = detail.map { ",\"detail\":\(QuotedText.quoted($0))" } ?? ""
        return "{\"errors\":[{\"code\":\"\(code.rawValue)\",\"message\":\(QuotedText.quoted(message))\(detail)}]}"
    }
}
