import DebugAPI
import Monitoring
import StructuredText

extension MonitoringResponse {
    /// A response with a document of docs/api.md.
    static func json(_ document: some Encodable, status: Int = 200) -> MonitoringResponse {
        do {
            let text = try JSONText.encode(document)
            return MonitoringResponse(status: status, contentType: "application/json", body: .text(text + "\n"))
        } catch {
            return .text("cannot encode the document: \(error)", status: 500)
        }
    }

    /// A response that says what is wrong.
    static func error(_ text: String, status: Int) -> MonitoringResponse {
        json(ErrorDocument(text), status: status)
    }
}
