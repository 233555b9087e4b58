/// A response of an ``HTTPServer``.
public struct ServerResponse: Sendable {
    /// The body of a response.
    public enum Body: Sendable {
        /// A text, sent at once.
        case text(String)
        /// Pieces that the function sends. The server cancels its task when the client leaves or the server shuts down,
        /// and closes the connection when the function returns.
        case stream(@Sendable (ServerStream) async throws -> Void)
    }

    /// The status code.
    public var status: Int
    /// The value of `Content-Type`.
    public var contentType: String
    /// Other header fields.
    public var fields: [(name: String, value: String)]
    /// The body.
    public var body: Body

    /// Makes a response.
    public init(status: Int = 200, contentType: String, fields: [(name: String, value: String)] = [], body: Body) {
        self.status = status
        self.contentType = contentType
        self.fields = fields
        self.body = body
    }

    /// A response of one line of plain text.
    public static func text(_ text: String, status: Int = 200) -> ServerResponse {
        ServerResponse(status: status, contentType: "text/plain; charset=utf-8", body: .text(text + "\n"))
    }
}
