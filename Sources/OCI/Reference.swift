/// A full image reference: `REGISTRY/REPOSITORY[:TAG][@DIGEST]`, with a tag, a digest or both.
///
/// containerd keeps images under these names. A short name (`alpine`) is rejected: its registry is ambiguous.
public struct Reference: Hashable, Sendable {
    /// An error from parsing a reference.
    public enum ParseError: Error, Hashable, CustomStringConvertible {
        /// No registry precedes the first slash.
        case missingRegistry
        /// The registry is not a host name with an optional port.
        case invalidRegistry(String)
        /// The repository breaks the rules of the distribution specification.
        case invalidRepository(String)
        /// The tag breaks the rules of the distribution specification.
        case invalidTag(String)
        /// The text after the `@` is not a digest.
        case invalidDigest(Digest.ParseError)
        /// The reference has neither a tag nor a digest.
        case missingTagOrDigest
        /// The text is longer than any valid reference.
        case tooLong

        /// The error in words.
        public var description: String {
            switch self {
            case .missingRegistry: "expected a registry at the start. Example: docker.io/library/alpine:3"
            case .invalidRegistry(let text): "expected a registry name, got '\(text)'"
            case .invalidRepository(let text): "expected a repository name, got '\(text)'"
            case .invalidTag(let text): "expected a tag, got '\(text)'"
            case .invalidDigest(let error): error.description
            case .missingTagOrDigest: "expected a tag or a digest at the end. Example: docker.io/library/alpine:3"
            case .tooLong: "expected at most \(Reference.maximumLength) characters"
            }
        }
    }

    /// The maximum length of a reference in characters: all parts at their maximum.
    public static let maximumLength =
        RegistryName.maximumLength + RepositoryName.maximumLength + Tag.maximumLength + 8 + 128 + 3

    /// The registry of the image.
    public let registry: RegistryName
    /// The repository in the registry.
    public let repository: RepositoryName
    /// The tag, if the reference has one.
    public let tag: Tag?
    /// The digest, if the reference has one.
    public let digest: Digest?

    /// Parses a full reference.
    public init(_ text: some StringProtocol) throws(ParseError) {
        guard text.utf8.prefix(Self.maximumLength + 1).count <= Self.maximumLength else { throw .tooLong }
        guard let slash = text.utf8.firstIndex(of: UInt8(ascii: "/")) else { throw .missingRegistry }
        guard let registry = RegistryName(text[..<slash]) else { throw .invalidRegistry(String(text[..<slash])) }
        var rest = text[text.utf8.index(after: slash)...]
        var digest: Digest?
        if let at = rest.utf8.firstIndex(of: UInt8(ascii: "@")) {
            do {
                digest = try Digest(rest[rest.utf8.index(after: at)...])
            } catch {
                throw .invalidDigest(error)
            }
            rest = rest[..<at]
        }
        var tag: Tag?
        if let colon = rest.utf8.firstIndex(of: UInt8(ascii: ":")) {
            let text = rest[rest.utf8.index(after: colon)...]
            guard let parsed = Tag(text) else { throw .invalidTag(String(text)) }
            tag = parsed
            rest = rest[..<colon]
        }
        guard let repository = RepositoryName(rest) else { throw .invalidRepository(String(rest)) }
        guard tag != nil || digest != nil else { throw .missingTagOrDigest }
        self.registry = registry
        self.repository = repository
        self.tag = tag
        self.digest = digest
    }

    /// `REGISTRY/REPOSITORY:TAG`, the name under which nodes advertise a tag; `nil` without a tag.
    public var tagName: String? {
        tag.map { "\(registry.text)/\(repository.text):\($0.text)" }
    }
}

extension Reference: CustomStringConvertible {
    /// The reference as text.
    public var description: String {
        let tag = tag.map { ":" + $0.text } ?? ""
        let digest = digest.map { "@" + $0.text } ?? ""
        return "\(registry.text)/\(repository.text)\(tag)\(digest)"
    }
}
