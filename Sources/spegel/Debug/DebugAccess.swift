import HTTPServer
import Multiformats
import NIOCore
import Registry

/// The clients that may use `/debug/`, which shows names of images and addresses of nodes: those on the node itself, and
/// those that know the password of `--basic-auth-dir`, if there is one.
///
/// `kubectl exec` and `kubectl port-forward` come from the node itself.
struct DebugAccess: Sendable {
    private let isOwn: @Sendable (IPAddress) -> Bool
    private let authentication: BasicAuthentication?

    /// - Parameters:
    ///   - isOwn: Whether an address is one of this machine, other than loopback.
    ///   - authentication: The password; `nil` if there is none.
    init(isOwn: @escaping @Sendable (IPAddress) -> Bool = { _ in false }, authentication: BasicAuthentication? = nil) {
        self.isOwn = isOwn
        self.authentication = authentication
    }

    /// Whether a request is answered.
    func allows(_ client: RequestClient) -> Bool {
        if let text = client.address?.ipAddress, let address = (try? IPAddress(text))?.unmapped,
            address.isLoopback || isOwn(address)
        {
            return true
        }
        return authentication?.accepts(client.authorization) == true
    }

    /// Handlers that refuse requests of others.
    func guarding(_ handlers: [String: HTTPServer.Handler]) -> [String: HTTPServer.Handler] {
        handlers.mapValues { handler in
            { request in allows(request.client) ? await handler(request) : refusal }
        }
    }

    private var refusal: ServerResponse {
        let own = "/debug/ answers clients on the node itself, such as 'kubectl exec' and 'kubectl port-forward'"
        guard authentication != nil else {
            return .error("\(own); to others with --basic-auth-dir's password", status: 403)
        }
        var response = ServerResponse.error("\(own), and those with the password", status: 401)
        // RFC 9110, section 11.6.1.
        response.fields.append(("WWW-Authenticate", "Basic realm=\"spegel\", charset=\"UTF-8\""))
        return response
    }
}
