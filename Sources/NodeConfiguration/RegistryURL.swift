import OCI

/// The URL of a registry or of a mirror: `SCHEME://HOST[:PORT]` and nothing else.
public struct RegistryURL: Hashable, Sendable, CustomStringConvertible {
    /// How a registry is spoken to.
    public enum Scheme: String, Sendable, CaseIterable {
        /// Without TLS.
        case http
        /// With TLS.
        case https
    }

    /// Why a text is no URL of a registry.
    public enum ParseError: Error, Hashable, CustomStringConvertible {
        /// There is no `://`.
        case missingScheme(String)
        /// The scheme is neither `http` nor `https`.
        case unsupportedScheme(String, url: String)
        /// A path, a query or a fragment follows the host.
        case trailingPart(String, url: String)
        /// A user name stands before the host.
        case userInformation
        /// The host is no host name or address with an optional port.
        case invalidHost(String, url: String)

        /// The error in words.
        public var description: String {
            switch self {
            case .missingScheme(let url):
                "'\(url)' has no scheme; expected a URL such as https://docker.io or http://127.0.0.1:30020"
            case .unsupportedScheme(let scheme, let url):
                "'\(url)' has the scheme '\(scheme)'; expected http or https"
            case .trailingPart(let part, let url):
                "'\(url)' has '\(part)' after its host; expected a URL without path, query and fragment"
            case .userInformation:
                "a registry's URL holds a user name; expected a URL without user name and password"
            case .invalidHost(let host, let url):
                "'\(url)' has the host '\(host)'; expected a host name or address with an optional port"
            }
        }
    }

    /// The scheme.
    public let scheme: Scheme
    /// The host name or address, with the port where one was given.
    public let host: RegistryName

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
        // A password may stand there, so the URL is not repeated.
        guard !authority.contains("@") else { throw .userInformation }
        // Names that begin with an underscore have a meaning of their own in the configuration folder.
        guard let host = RegistryName(authority.lowercased()), !authority.hasPrefix("_") else {
            throw .invalidHost(String(authority.prefix(64)), url: shown)
        }
        self.scheme = scheme
        self.host = host
    }

    /// The URL as text.
    public var description: String { "\(scheme.rawValue)://\(host)" }

    /// The URL at which containerd itself reaches the registry: Docker Hub's API is not at the name in references.
    var server: String {
        description == "https://docker.io" ? "https://registry-1.docker.io" : description
    }
}
