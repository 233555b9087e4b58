/// A request with all of its body.
public struct HTTPRequest: Sendable {
    /// The method, such as `GET`.
    public var method: String
    /// The path with its query, beginning with a slash.
    public var path: String
    /// Fields besides `Host` and `Content-Length`, which are added.
    public var fields: [(name: String, value: String)]
    /// The body, or `nil` for none.
    public var body: [UInt8]?

    /// Makes a request.
    public init(
        method: String = "GET",
        path: String,
        fields: [(name: String, value: String)] = [],
        body: [UInt8]? = nil
    ) {
        self.method = method
        self.path = path
        self.fields = fields
        self.body = body
    }
}

/// A response with all of its body.
public struct HTTPResponse: Hashable, Sendable {
    /// The status code.
    public var status: Int
    /// The body.
    public var body: [UInt8]

    /// Makes a response.
    public init(status: Int, body: [UInt8]) {
        self.status = status
        self.body = body
    }
}
