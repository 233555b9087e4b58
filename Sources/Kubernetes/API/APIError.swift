import FoundationEssentials
import HTTPClient
import StructuredText

/// Why the API server did not do what it was asked. The descriptions say what to do.
public enum APIError: Error, Hashable, Sendable, CustomStringConvertible {
    /// 401.
    case unauthorized(server: String)
    /// 403.
    case forbidden(verb: String, lease: LeaseName, message: String?)
    /// 404 for an object that was to be made.
    case noNamespace(LeaseName)
    /// Any other answer.
    case unexpected(verb: String, lease: LeaseName, status: Int, message: String?)
    /// No answer.
    case noAnswer(String)

    /// What went wrong and what to do about it.
    public var description: String {
        switch self {
        case .unauthorized(let server):
            "the API server at \(server) does not know this node: its token or client certificate is missing, expired or of another cluster"
        case .forbidden(let verb, let lease, let message):
            "the API server does not allow to \(verb) the Lease \(lease): grant the node's service account a Role in the namespace \(lease.namespace) with the verbs get, create and update on leases of coordination.k8s.io"
                + (message.map { " (\($0))" } ?? "")
        case .noNamespace(let lease):
            "there is no namespace \(lease.namespace): make it, or name another by --leader-election-namespace"
        case .unexpected(let verb, let lease, let status, let message):
            "cannot \(verb) the Lease \(lease): the API server answers \(status)" + (message.map { ", \($0)" } ?? "")
        case .noAnswer(let reason):
            reason
        }
    }

    /// The server's own words in an object of kind Status, short enough for a line of a log.
    static func message(in body: [UInt8]) -> String? {
        guard let status = try? JSONDecoder().decode(JSONValue.self, from: Data(body)),
            let message = status["message"]?.text
        else { return nil }
        let line = message.split(whereSeparator: \.isNewline).joined(separator: " ")
        return line.count > 300 ? line.prefix(300) + "…" : line
    }
}
