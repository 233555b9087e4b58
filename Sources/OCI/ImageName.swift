/// An image or a digest as a person types it.
public enum ImageName: Hashable, Sendable, CustomStringConvertible {
    /// A full image reference.
    case image(Reference)
    /// A digest of any content.
    case digest(Digest)

    /// An error from parsing an image name.
    public struct Malformed: Error, CustomStringConvertible {
        /// The expected form and what was found.
        public let description: String
    }

    /// Parses a full reference, a digest, or a short name of Docker Hub. Completes a short name as docker and nerdctl
    /// do.
    public init(_ text: some StringProtocol) throws(Malformed) {
        guard !text.isEmpty else {
            throw Malformed(
                description: "expected an image or a digest. Examples: docker.io/library/alpine:3, sha256:…"
            )
        }
        guard text.utf8.count <= Reference.maximumLength else {
            throw Malformed(description: Reference.ParseError.tooLong.description)
        }
        if let digest = try? Digest(text) {
            self = .digest(digest)
            return
        }
        do {
            self = .image(try Reference(Self.completed(String(text))))
        } catch {
            throw Malformed(description: "expected an image or a digest, got '\(text)': \(error)")
        }
    }

    /// Adds the registry, `library/` and `latest` where they are missing.
    private static func completed(_ text: String) -> String {
        var text = text
        // Docker Hub has an old name.
        if text.hasPrefix("index.docker.io/") { text = String(text.dropFirst("index.".count)) }
        var name = text
        let first = text.prefix { $0 != "/" }
        let hasRegistry = first.count < text.count && RegistryName.isTypedAsRegistry(first)
        if !hasRegistry { name = "docker.io/" + text }
        let hub = "docker.io/"
        if name.hasPrefix(hub), !name.dropFirst(hub.count).contains("/"), name.count > hub.count {
            name = hub + "library/" + name.dropFirst(hub.count)
        }
        let path = name.prefix { $0 != "@" }
        let last = path.split(separator: "/").last ?? ""
        return last.contains(":") || path.count < name.count ? name : name + ":latest"
    }

    /// The full reference, or the digest.
    public var description: String {
        switch self {
        case .image(let reference): "\(reference)"
        case .digest(let digest): digest.text
        }
    }
}
