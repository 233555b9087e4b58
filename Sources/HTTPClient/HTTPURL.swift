/// An `http` or `https` URL without user, query or fragment being looked into.
public struct HTTPURL: Hashable, Sendable, CustomStringConvertible {
    /// Whether the connection is secured by TLS.
    public let isSecure: Bool
    /// The name or IP address, an IPv6 address without its brackets.
    public let host: String
    /// The port, 80 or 443 when the text names none.
    public let port: UInt16
    /// The path with its query, empty or beginning with a slash.
    public let path: String

    /// The longest text that is read, in bytes.
    static let maximumLength = 2048

    /// Names an origin and a path on it.
    public init(isSecure: Bool, host: String, port: UInt16, path: String = "") {
        self.isSecure = isSecure
        self.host = host
        self.port = port
        self.path = path
    }

    /// Reads the text form; `nil` for anything that is not a plain URL of one of the two schemes.
    public init?(_ text: String) {
        let bytes = text.utf8
        guard bytes.count <= Self.maximumLength, bytes.allSatisfy({ (0x21...0x7E).contains($0) }) else { return nil }
        let isSecure: Bool
        var rest: Substring
        if text.hasPrefix("https://") {
            isSecure = true
            rest = text.dropFirst(8)
        } else if text.hasPrefix("http://") {
            isSecure = false
            rest = text.dropFirst(7)
        } else {
            return nil
        }
        if let fragment = rest.firstIndex(of: "#") { rest = rest[..<fragment] }
        let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        let authority = rest[..<end]
        let tail = rest[end...]
        guard !authority.contains("@"), let (host, port) = Self.split(authority) else { return nil }
        let standard: UInt16 = isSecure ? 443 : 80
        guard let port = port.map({ UInt16($0) }) ?? standard, port > 0 else { return nil }
        self.init(isSecure: isSecure, host: host, port: port, path: (tail.hasPrefix("?") ? "/" : "") + tail)
    }

    private static func split(_ authority: Substring) -> (host: String, port: Substring?)? {
        var rest = authority
        let host: Substring
        if rest.hasPrefix("[") {
            guard let close = rest.firstIndex(of: "]") else { return nil }
            host = rest[rest.index(after: rest.startIndex)..<close]
            guard host.contains(":") else { return nil }
            rest = rest[rest.index(after: close)...]
        } else {
            host = rest.prefix { $0 != ":" }
            rest = rest.dropFirst(host.count)
        }
        guard !host.isEmpty else { return nil }
        if rest.isEmpty { return (String(host), nil) }
        guard rest.first == ":" else { return nil }
        return (String(host), rest.dropFirst())
    }

    /// The host and the port, as the field `Host` and messages have them.
    public var authority: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == (isSecure ? 443 : 80) ? name : "\(name):\(port)"
    }

    /// The text form.
    public var description: String { "\(isSecure ? "https" : "http")://\(authority)\(path)" }
}
