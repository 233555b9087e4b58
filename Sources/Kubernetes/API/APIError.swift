import FoundationEssentials
import HTTPClient
import StructuredText

/// An error from the API server, with what to do about it.
public enum APIError: Error, Hashable, Sendable, CustomStringConvertible {
    /// 401.
    case unauthorized(server: String)
    /// 403.
    case forbidden(verb: String, lease: LeaseName, message: String?)
    /// 404 for a new object.
    case noNamespace(LeaseName)
    /// Any other status.
    case unexpected(verb: String, lease: LeaseName, status: Int, message: String?)
    /// No response.
    case noAnswer(String)

    /// The error and what to do about it.
    public var description: String {
        switch self {
        case .unauthorized(let server):
            "unauthorized at the API server \(server): token or client certificate missing, expired or of another cluster"
        case .forbidden(let verb, let lease, let message):
            "forbidden to \(verb) the Lease \(lease): grant the node's service account a Role in the namespace \(lease.namespace) with the verbs get, create and update on leases of coordination.k8s.io"
                + (message.map { " (\($0))" } ?? "")
        case .noNamespace(let lease):
            "namespace \(lease.namespace) not found: create it, or set another one with --leader-election-namespace"
        case .unexpected(let verb, let lease, let status, let message):
            "cannot \(verb) the Lease \(lease): API server returned status \(status)"
                + (message.map { ", \($0)" } ?? "")
        case .noAnswer(let reason):
            reason
        }
    }

    /// The server's message in an object of kind Status, cut to the length of a log line.
    static func message(in body: [UInt8]) -> String? {
        guard let status = try? JSONDecoder().decode(JSONValue.self, from: Data(body)),
            let message = status["message"]?.text
        else { return nil }
        let line = message.split(whereSeparator: \.isNewline).joined(separator: " ")
        return line.count > 300 ? line.prefix(300) + "…" : line
    }
}
