/// What a person means by an image or a digest.
public enum ImageName: Hashable, Sendable, CustomStringConvertible {
    /// An image, named in full.
    case image(Reference)
    /// Some content, whatever it is of.
    case digest(Digest)

    /// Why a text is neither.
    public struct Malformed: Error, CustomStringConvertible {
        /// What is wrong with it.
        public let description: String
    }

    /// Reads a full reference, a digest, or a short name of Docker Hub, whose missing parts are added as docker and
    /// nerdctl do it.
    public init(_ text: some StringProtocol) throws(Malformed) {
        guard !text.isEmpty else {
            throw Malformed(description: "an image or a digest is wanted, as docker.io/library/alpine:3 or sha256:…")
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
            throw Malformed(description: "'\(text)' is neither an image nor a digest: \(error)")
        }
    }

    /// The name with the registry, `library/` and `latest` where they are missing.
    private static func completed(_ text: String) -> String {
        var name = text
        let first = text.prefix { $0 != "/" }
        let hasRegistry =
            first.count < text.count
            && (first.contains(".") || first.contains(":") || first == "localhost")
        if !hasRegistry { name = "docker.io/" + (first.count < text.count ? "" : "library/") + text }
        let path = name.prefix { $0 != "@" }
        let last = path.split(separator: "/").last ?? ""
        return last.contains(":") || path.count < name.count ? name : name + ":latest"
    }

    /// The name in full, or the digest.
    public var description: String {
        switch self {
        case .image(let reference): "\(reference)"
        case .digest(let digest): digest.text
        }
    }
}
