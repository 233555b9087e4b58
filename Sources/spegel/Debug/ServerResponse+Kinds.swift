import DebugAPI
import HTTPServer
import Monitoring
import StructuredText

extension ServerResponse {
    /// A response with a document of docs/api.md.
    static func json(_ document: some Encodable, status: Int = 200) -> ServerResponse {
        do {
            let text = try JSONText.encode(document)
            return ServerResponse(status: status, contentType: "application/json", body: .text(text + "\n"))
        } catch {
            return .text("cannot encode the document: \(error)", status: 500)
        }
    }

    /// A response that says what is wrong.
    static func error(_ text: String, status: Int) -> ServerResponse {
        json(ErrorDocument(text), status: status)
    }

    /// A response with a page of ``MetricRegistry/text``.
    static func metrics(_ page: String) -> ServerResponse {
        ServerResponse(contentType: "text/plain; version=0.0.4; charset=utf-8", body: .text(page))
    }
}
