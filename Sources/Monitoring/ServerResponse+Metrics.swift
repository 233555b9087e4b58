import HTTPServer

extension ServerResponse {
    /// A page of ``MetricRegistry/text``.
    public static func metrics(_ page: String) -> ServerResponse {
        ServerResponse(contentType: "text/plain; version=0.0.4; charset=utf-8", body: .text(page))
    }
}
