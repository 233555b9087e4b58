/// What a ``MonitoringServer`` answers.
public struct MonitoringResponse: Sendable {
    /// What is sent.
    public enum Body: Sendable {
        /// All of it at once.
        case text(String)
        /// Piece by piece, for as long as the client takes it. The task is cancelled when the client goes or the server
        /// shuts down; the connection closes when the function returns.
        case stream(@Sendable (MonitoringStream) async throws -> Void)
    }

    /// The status, as 200.
    public var status: Int
    /// The value of `Content-Type`.
    public var contentType: String
    /// Other header fields.
    public var fields: [(name: String, value: String)]
    /// The body.
    public var body: Body

    /// Makes an answer.
    public init(status: Int = 200, contentType: String, fields: [(name: String, value: String)] = [], body: Body) {
        self.status = status
        self.contentType = contentType
        self.fields = fields
        self.body = body
    }

    /// An answer of one line of plain text.
    public static func text(_ text: String, status: Int = 200) -> MonitoringResponse {
        MonitoringResponse(status: status, contentType: "text/plain; charset=utf-8", body: .text(text + "\n"))
    }

    /// A page of ``MetricRegistry/text``.
    public static func metrics(_ page: String) -> MonitoringResponse {
        MonitoringResponse(contentType: "text/plain; version=0.0.4; charset=utf-8", body: .text(page))
    }
}
