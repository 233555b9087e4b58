/// The course of a test pull: the document of `/debug/api/pull` (docs/api.md). Moments count from the start of the pull.
package struct PullReport: Codable, Hashable, Sendable {
    /// The source of content that this node holds itself.
    package static let here = "here"

    /// The reference as the request has it.
    package let reference: String
    /// The reference in full.
    package let name: String
    package let duration: Duration
    /// The bytes of all steps.
    package let bytes: Int64
    package let isComplete: Bool
    /// Why the pull is not complete.
    package let error: String?
    /// In the order in which they began.
    package let steps: [Step]

    private enum CodingKeys: String, CodingKey {
        case reference, name
        case duration = "milliseconds"
        case bytes
        case isComplete = "complete"
        case error, steps
    }

    /// - Parameter error: why the pull is not complete; `nil` if it is.
    package init(reference: String, name: String, duration: Duration, error: String?, steps: [Step]) {
        self.reference = reference
        self.name = name
        self.duration = duration
        self.error = error
        self.steps = steps
        bytes = steps.reduce(0) { $0 &+ $1.bytes }
        isComplete = error == nil
    }

    /// One request.
    package struct Step: Codable, Hashable, Sendable {
        package var kind: ImageReport.Kind
        package var key: String
        package var size: Int64?
        package var start: Duration
        /// When the first provider was found; `nil` for content that this node holds, and without a provider.
        package var lookup: Duration?
        package var firstByte: Duration?
        package var end: Duration
        package var bytes: Int64 = 0
        /// `nil` without a response.
        package var status: Int?
        /// The registry that the content came from, or ``PullReport/here``.
        package var source: String?
        /// Whether the content matches its digest.
        package var isVerified = false
        package var error: String?

        private enum CodingKeys: String, CodingKey {
            case kind, key, size
            case start = "startMilliseconds"
            case lookup = "lookupMilliseconds"
            case firstByte = "firstByteMilliseconds"
            case end = "endMilliseconds"
            case bytes, status, source
            case isVerified = "verified"
            case error
        }

        package init(kind: ImageReport.Kind, key: String, size: Int64?, start: Duration) {
            self.kind = kind
            self.key = key
            self.size = size
            self.start = start
            end = start
        }
    }
}
