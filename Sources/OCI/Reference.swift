/// A full image reference: `REGISTRY/REPOSITORY[:TAG][@DIGEST]`, with a tag, a digest or both.
///
/// These are the names under which containerd keeps images. Short names (`alpine`) are no references here: whoever
/// wrote one must have said which registry it means.
public struct Reference: Hashable, Sendable {
    /// Why a text is not a full reference.
    public enum ParseError: Error, Hashable, CustomStringConvertible {
        /// There is no registry before the first slash.
        case missingRegistry
        /// The registry is no host name with an optional port.
        case invalidRegistry(String)
        /// The repository is not as the distribution specification wants it.
        case invalidRepository(String)
        /// The tag is not as the distribution specification wants it.
        case invalidTag(String)
        /// What follows the `@` is no digest.
        case invalidDigest(Digest.ParseError)
        /// There is neither a tag nor a digest.
        case missingTagOrDigest
        /// The text is longer than any reference.
        case tooLong

        /// The error in words.
        public var description: String {
            switch self {
            case .missingRegistry: "a reference starts with a registry, as in docker.io/library/alpine:3"
            case .invalidRegistry(let text): "'\(text)' is no registry name"
            case .invalidRepository(let text): "'\(text)' is no repository name"
            case .invalidTag(let text): "'\(text)' is no tag"
            case .invalidDigest(let error): error.description
            case .missingTagOrDigest: "a reference needs a tag or a digest"
            case .tooLong: "a reference has at most \(Reference.maximumLength) characters"
            }
        }
    }

    /// The most characters that a reference may have: all its parts at their longest.
    public static let maximumLength =
        RegistryName.maximumLength + RepositoryName.maximumLength + Tag.maximumLength + 8 + 128 + 3

    /// The registry that the image comes from.
    public let registry: RegistryName
    /// The repository within the registry.
    public let repository: RepositoryName
    /// The tag, where the reference has one.
    public let tag: Tag?
    /// The digest, where the reference has one.
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

    /// A reference by tag.
    public init(registry: RegistryName, repository: RepositoryName, tag: Tag) {
        self.registry = registry
        self.repository = repository
        self.tag = tag
        self.digest = nil
    }

    /// `REGISTRY/REPOSITORY:TAG`, the name under which a tag is advertised, or `nil` when there is no tag.
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
