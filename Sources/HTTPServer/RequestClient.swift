/// The fields of a request that say which program made it, and what it can read.
public struct RequestClient: Hashable, Sendable {
    /// The field `User-Agent`.
    public var userAgent: String?
    /// The field `Accept`.
    public var accept: String?

    /// Makes the fields.
    public init(userAgent: String? = nil, accept: String? = nil) {
        self.userAgent = userAgent
        self.accept = accept
    }
}
