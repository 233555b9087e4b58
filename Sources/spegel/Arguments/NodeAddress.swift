import ArgumentParser
import HTTPClient

/// Where a node is asked: `http://HOST:PORT`, or `HOST:PORT` alone.
struct NodeAddress: ExpressibleByArgument, Hashable, CustomStringConvertible {
    let url: HTTPURL

    init?(argument: String) {
        let text = argument.contains("://") ? argument : "http://" + argument
        guard let url = HTTPURL(text), !url.isSecure, url.path.isEmpty || url.path == "/" else { return nil }
        self.url = HTTPURL(isSecure: false, host: url.host, port: url.port)
    }

    /// An address that is known to be one.
    init(_ text: StaticString) {
        url = Self(argument: "\(text)")?.url ?? HTTPURL(isSecure: false, host: "127.0.0.1", port: 80)
    }

    var description: String { "\(url)" }
}
