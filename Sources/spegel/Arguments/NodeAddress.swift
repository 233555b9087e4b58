import ArgumentParser
import HTTPClient

/// The address of a node: `http://HOST:PORT`, or `HOST:PORT` alone.
struct NodeAddress: ExpressibleByArgument, Hashable, CustomStringConvertible {
    let url: HTTPURL

    init?(argument: String) {
        let text = argument.contains("://") ? argument : "http://" + argument
        guard let url = HTTPURL(text), !url.isSecure, url.path.isEmpty || url.path == "/" else { return nil }
        self.url = HTTPURL(isSecure: false, host: url.host, port: url.port)
    }

    private init(url: HTTPURL) {
        self.url = url
    }

    /// The address of a node on this machine that listens on a default port.
    static func local(_ address: ListenAddress) -> NodeAddress {
        NodeAddress(url: HTTPURL(isSecure: false, host: "127.0.0.1", port: address.port))
    }

    var description: String { "\(url)" }
}
