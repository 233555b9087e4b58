import OCI

/// The URL of a registry or mirror: `SCHEME://HOST[:PORT]` and nothing else.
public struct RegistryURL: Hashable, Sendable, CustomStringConvertible {
    /// The scheme of a registry.
    public enum Scheme: String, Sendable, CaseIterable {
        /// Without TLS.
        case http
        /// With TLS.
        case https
    }

    /// An error from parsing a registry URL.
    public enum ParseError: Error, Hashable, CustomStringConvertible {
        /// The text has no `://`.
        case missingScheme(String)
        /// The scheme is neither `http` nor `https`.
        case unsupportedScheme(String, url: String)
        /// A path, a query or a fragment follows the host.
        case trailingPart(String, url: String)
        /// A user name precedes the host.
        case userInformation
        /// The host is not a host name or address with an optional port.
        case invalidHost(String, url: String)

        /// The error in words.
        public var description: String {
            switch self {
            case .missingScheme(let url):
                "expected a URL such as https://docker.io or http://127.0.0.1:30020, got '\(url)' without a scheme"
            case .unsupportedScheme(let scheme, let url):
                "expected http or https, got the scheme '\(scheme)' in '\(url)'"
            case .trailingPart(let part, let url):
                "expected a URL without path, query and fragment, got '\(part)' after the host in '\(url)'"
            case .userInformation:
                "expected a URL without user name and password, got one with a user name"
            case .invalidHost(let host, let url):
                "expected a host name or address with an optional port, got '\(host)' in '\(url)'"
                    + (host.contains(":") && !host.hasPrefix("[") && host.count(where: { $0 == ":" }) > 1
                        ? Self.bracketAdvice : "")
            }
        }

        private static let bracketAdvice =
            ": an IPv6 address needs brackets, as in http://[fd00::1]:30020; with the Helm chart set service.registry.ipv6"
    }

    /// The scheme.
    public let scheme: Scheme
    /// The host name or address, with its optional port, in lower case.
    public let host: RegistryName
    /// The host as it was written. containerd takes the name of a registry as a reference has it.
    public let written: RegistryName

    /// Parses a URL.
    public init(_ text: String) throws(ParseError) {
        let shown = String(text.prefix(256))
        guard let separator = text.firstRange(of: "://") else { throw .missingScheme(shown) }
        let schemeText = text[..<separator.lowerBound].lowercased()
        guard let scheme = Scheme(rawValue: schemeText) else {
            throw .unsupportedScheme(String(schemeText.prefix(64)), url: shown)
        }
        let rest = text[separator.upperBound...]
        let authority = rest.prefix { !"/?#\\".contains($0) }
        guard authority.endIndex == rest.endIndex else {
            throw .trailingPart(String(rest[authority.endIndex...].prefix(64)), url: shown)
        }
        // The authority may contain a password, so the error must not contain it.
        guard !authority.contains("@") else { throw .userInformation }
        // Names with a leading underscore have a special meaning in the configuration folder.
        guard let host = RegistryName(authority.lowercased()), let written = RegistryName(authority),
            !authority.hasPrefix("_")
        else {
            throw .invalidHost(String(authority.prefix(64)), url: shown)
        }
        self.scheme = scheme
        self.host = host
        self.written = written
    }

    /// Whether two URLs are the same. The case of a host makes no difference.
    public static func == (left: RegistryURL, right: RegistryURL) -> Bool {
        left.scheme == right.scheme && left.host == right.host
    }

    /// Hashes what ``==(_:_:)`` compares.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(scheme)
        hasher.combine(host)
    }

    /// The URL as text.
    public var description: String { "\(scheme.rawValue)://\(host)" }

    /// The URL at which containerd reaches the registry. Docker Hub's API has another host than its references.
    var server: String {
        isDockerHub ? "https://registry-1.docker.io" : description
    }

    /// Whether this is Docker Hub, under any of its names.
    private var isDockerHub: Bool {
        scheme == .https && ["docker.io", "index.docker.io", "registry-1.docker.io"].contains(host.text)
    }

    /// The names in references of the registry, for which containerd looks for folders: as written and in lower case, and
    /// `docker.io` for each name of Docker Hub.
    public var names: [RegistryName] {
        var names = [written]
        if host != written { names.append(host) }
        if isDockerHub, let hub = RegistryName("docker.io"), !names.contains(hub) { names.append(hub) }
        return names
    }
}
