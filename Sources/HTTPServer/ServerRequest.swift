import NIOCore
import NIOHTTP1

/// A request to an ``HTTPServer``.
public struct ServerRequest: Sendable {
    /// The longest target, in bytes. A longer one gets 414.
    static let maximumTargetLength = 4096
    /// The longest form that the server reads, in bytes.
    static let maximumFormLength = 8192

    /// The path, `/metrics`.
    public var path: String
    /// The parameters of the query and of the form; of two with the same name the first counts.
    public var parameters: [String: String]
    /// The fields that say where the request goes and which page made it.
    public var origin: RequestOrigin
    /// The fields that say which program made the request, and what it can read.
    public var client = RequestClient()

    /// Makes a request.
    public init(path: String, parameters: [String: String] = [:], origin: RequestOrigin = RequestOrigin()) {
        self.path = path
        self.parameters = parameters
        self.origin = origin
    }

    /// Reads the target of a request (RFC 9112, section 3.2) and decodes `%XX` and, in the query, `+`. A target in
    /// absolute form also says the host.
    ///
    /// - Parameter form: The body, if it is `application/x-www-form-urlencoded`.
    init(target: String, form: String? = nil, origin: RequestOrigin = RequestOrigin()) {
        let (target, authority) = Self.originForm(target)
        let parts = target.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
        let pieces = (parts.first ?? "").split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        path = Self.decoded(pieces.first ?? "", plusIsSpace: false)
        parameters = [:]
        self.origin = origin
        if let authority { self.origin.host = authority }
        if pieces.count == 2 { addParameters(pieces[1]) }
        if let form { addParameters(form[...]) }
    }

    /// Reads a request; `nil` if its target is too long.
    ///
    /// - Parameter form: The body, if it is a form within the limit.
    package init?(_ head: HTTPRequestHead, form: [UInt8]?, address: SocketAddress? = nil) {
        guard head.uri.utf8.count <= Self.maximumTargetLength else { return nil }
        let form = form.map { String(decoding: $0, as: UTF8.self) }
        self.init(target: head.uri, form: form, origin: RequestOrigin(head.headers))
        client = RequestClient(
            userAgent: head.headers.first(name: "User-Agent"),
            accept: head.headers.first(name: "Accept"),
            authorization: head.headers.first(name: "Authorization"),
            address: address
        )
    }

    /// The path and query of a target, and the authority of one in absolute form.
    private static func originForm(_ target: String) -> (target: Substring, authority: String?) {
        let lowercase = target.prefix(8).lowercased()
        guard let scheme = ["http://", "https://"].first(where: lowercase.hasPrefix) else { return (target[...], nil) }
        let rest = target.dropFirst(scheme.count)
        let authority = rest.prefix { !"/?#".contains($0) }
        let path = rest.dropFirst(authority.count)
        return (path.hasPrefix("/") ? path : "/" + path, String(authority))
    }

    private mutating func addParameters(_ text: Substring) {
        for pair in text.split(separator: "&") {
            let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = Self.decoded(sides.first ?? "", plusIsSpace: true)
            guard !name.isEmpty, parameters[name] == nil else { continue }
            parameters[name] = sides.count == 2 ? Self.decoded(sides[1], plusIsSpace: true) : ""
        }
    }

    private static func decoded(_ text: Substring, plusIsSpace: Bool) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                rest = rest.dropFirst(2)
                bytes.append(value)
            } else {
                bytes.append(plusIsSpace && byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension HTTPRequestHead {
    /// Whether there is one field `Host`, as HTTP/1.1 demands (RFC 9112, section 3.2). HTTP/1.0 needs none.
    var hasHost: Bool {
        let count = headers["Host"].count
        return count == 1 || (count == 0 && isOld)
    }

    /// The field `Expect`, which HTTP/1.0 does not have.
    var expectation: String? {
        isOld ? nil : headers.first(name: "Expect")
    }

    /// Whether the version is before HTTP/1.1.
    private var isOld: Bool { version.major < 1 || (version.major == 1 && version.minor < 1) }

    /// Whether the body is a form.
    package var isForm: Bool {
        method == .POST
            && headers.first(name: "Content-Type")?.lowercased().hasPrefix("application/x-www-form-urlencoded") == true
    }
}

extension RequestOrigin {
    fileprivate init(_ headers: HTTPHeaders) {
        self.init(
            host: headers.first(name: "Host"),
            origin: headers.first(name: "Origin"),
            fetchSite: headers.first(name: "Sec-Fetch-Site")
        )
    }
}
