import HTTPServer

extension ServerResponse {
    /// A response in JSON.
    public static func json(_ value: JSON, status: Int = 200) -> ServerResponse {
        ServerResponse(status: status, contentType: "application/json", body: .text(value.text + "\n"))
    }

    /// An error in JSON: `{"error": "REASON"}`.
    public static func error(_ text: String, status: Int) -> ServerResponse {
        json(.object([("error", .string(text))]), status: status)
    }

    /// A page of ``MetricRegistry/text``.
    public static func metrics(_ page: String) -> ServerResponse {
        ServerResponse(contentType: "text/plain; version=0.0.4; charset=utf-8", body: .text(page))
    }
}
