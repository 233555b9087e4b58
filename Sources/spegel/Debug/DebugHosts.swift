import HTTPServer
import Multiformats

/// The hosts in whose name a request may use `/debug/`: addresses, `localhost`, and the names of `--debug-web-hosts`.
///
/// A site can make its own name lead to this node (DNS rebinding). A browser then takes the node for that site, shows its
/// answers to the site's pages, and lets them start a test pull. Such a request has the site's name in `Host`.
struct DebugHosts: Sendable {
    private let names: Set<String>

    /// - Parameter names: The names of this node, in lower case, without a port.
    init(names: Set<String> = []) {
        self.names = names
    }

    /// Whether a request with this field `Host` is answered. A client without the field is no browser.
    func allows(_ host: String?) -> Bool {
        guard let host else { return true }
        let name = Self.name(in: host.lowercased())
        if name == "localhost" || names.contains(String(name)) { return true }
        return (try? IPAddress(name)) != nil
    }

    /// Handlers that refuse requests in the name of another host.
    func guarding(_ handlers: [String: HTTPServer.Handler]) -> [String: HTTPServer.Handler] {
        handlers.mapValues { handler in
            { request in
                guard !allows(request.origin.host) else { return await handler(request) }
                let host = (request.origin.host ?? "").prefix(128)
                return .error(
                    "expected an address, localhost or a name of --debug-web-hosts in the field Host, got '\(host)'",
                    status: 421
                )
            }
        }
    }

    /// The name without the port and the dot at its end, an IPv6 address without its brackets.
    private static func name(in host: String) -> Substring {
        if host.hasPrefix("[") {
            guard let end = host.firstIndex(of: "]") else { return "" }
            return host[host.index(after: host.startIndex)..<end]
        }
        let name = host.prefix { $0 != ":" }
        return name.hasSuffix(".") ? name.dropLast() : name
    }
}
