/// A request to the distribution API, parsed from its path and query. OCI distribution-spec, "Endpoints" (end-1 to
/// end-3).
public struct DistributionRequest: Hashable, Sendable {
    /// The kinds of content that the API serves.
    public enum Kind: String, Sendable {
        /// `/v2/NAME/manifests/REFERENCE`
        case manifest = "manifests"
        /// `/v2/NAME/blobs/DIGEST`
        case blob = "blobs"
    }

    /// The tag or digest that names the content.
    public enum Target: Hashable, Sendable {
        /// Content by its digest.
        case digest(Digest)
        /// A manifest by its tag.
        case tag(Tag)
    }

    /// Whether the request is for a manifest or a blob.
    public let kind: Kind
    /// The repository in the path.
    public let repository: RepositoryName
    /// The tag or digest at the end of the path.
    public let target: Target
    /// The upstream registry of the content: the query's `ns`, or what ``Fallback`` names.
    public let registry: RegistryName?

    /// Creates a request.
    public init(kind: Kind, repository: RepositoryName, target: Target, registry: RegistryName?) {
        self.kind = kind
        self.repository = repository
        self.target = target
        self.registry = registry
    }

    /// What names the upstream registry when the query has no `ns`. containerd always sends one; podman, CRI-O, skopeo,
    /// buildah and Docker never do.
    public enum Fallback: Hashable, Sendable {
        /// The request is for content of any registry then.
        case none
        /// The first component of the path, where that can only be a registry (``RegistryName/init(pathComponent:)``),
        /// otherwise this registry.
        case path(default: RegistryName?)
    }

    /// The kinds of paths in the API.
    public enum Path: Hashable, Sendable {
        /// `/v2/`, the version check.
        case base
        /// A manifest or a blob.
        case content(DistributionRequest)
    }

    /// The maximum length of a request target in bytes.
    public static let maximumLength = 4096

    /// Parses the target of an HTTP request, `/v2/…?ns=…`.
    ///
    /// - Parameter fallback: what names the registry of a request without `ns`.
    /// - Returns: `nil` when the path is outside this API.
    /// - Throws: the error response for a malformed part of the path.
    public static func parse(
        target: some StringProtocol,
        fallback: Fallback = .none
    ) throws(DistributionError) -> Path? {
        guard target.utf8.prefix(maximumLength + 1).count <= maximumLength else {
            throw DistributionError(.nameInvalid, "request target longer than \(maximumLength) bytes")
        }
        var target = String(target)
        return try target.withUTF8 { bytes in
            Result { () throws(DistributionError) in try parse(bytes[...], fallback) }
        }.get()
    }

    /// A part of a request target. No multi-byte character of UTF-8 contains an ASCII byte, so it can be split at those.
    private typealias Part = Slice<UnsafeBufferPointer<UInt8>>

    private static func parse(_ target: Part, _ fallback: Fallback) throws(DistributionError) -> Path? {
        let (path, query) = split(target, at: UInt8(ascii: "?"))
        let prefix = "/v2/".utf8
        if path.elementsEqual(prefix) || path.elementsEqual(prefix.dropLast()) { return .base }
        guard path.starts(with: prefix), let (rest, last) = splitAtLastSlash(path.dropFirst(prefix.count)),
            let (nameBytes, kindBytes) = splitAtLastSlash(rest), let kind = Kind(rawValue: text(kindBytes))
        else { return nil }

        var registry = try Self.registry(inQuery: query)
        var name = text(nameBytes)
        if registry == nil, case .path(let other) = fallback {
            if let (named, rest) = Self.registry(inPath: nameBytes) {
                registry = named
                name = text(rest)
            } else {
                registry = other
            }
        }
        guard let repository = RepositoryName(name) else {
            throw DistributionError(.nameInvalid, "malformed repository name", detail: clipped(name))
        }
        guard let reference = percentDecoded(last) else {
            throw DistributionError(.manifestInvalid, "malformed tag or digest", detail: clipped(text(last)))
        }
        let content = DistributionRequest(
            kind: kind,
            repository: repository,
            target: try parseReference(reference, kind: kind),
            registry: registry
        )
        return .content(content)
    }

    private static func text(_ part: Part) -> String { String(decoding: part, as: UTF8.self) }

    /// Splits at the first `separator`.
    private static func split(_ part: Part, at separator: UInt8) -> (first: Part, rest: Part?) {
        guard let index = part.firstIndex(of: separator) else { return (part, nil) }
        return (part[..<index], part[(index + 1)...])
    }

    private static func splitAtLastSlash(_ part: Part) -> (before: Part, after: Part)? {
        guard let index = part.lastIndex(of: UInt8(ascii: "/")) else { return nil }
        return (part[..<index], part[(index + 1)...])
    }

    private static func parseReference(_ text: String, kind: Kind) throws(DistributionError) -> Target {
        // A tag never contains a colon and a digest always does.
        if kind == .manifest, !text.utf8.contains(UInt8(ascii: ":")) {
            guard let tag = Tag(text) else {
                throw DistributionError(.manifestInvalid, "malformed tag", detail: clipped(text))
            }
            return .tag(tag)
        }
        do {
            return try .digest(Digest(text))
        } catch {
            throw DistributionError(.digestInvalid, error.description, detail: clipped(text))
        }
    }

    /// The registry that the first component of a name is, and the repository after it.
    private static func registry(inPath name: Part) -> (RegistryName, rest: Part)? {
        let (first, rest) = split(name, at: UInt8(ascii: "/"))
        guard let rest, let component = percentDecoded(first), let registry = RegistryName(pathComponent: component)
        else { return nil }
        return (registry, rest)
    }

    private static func registry(inQuery query: Part?) throws(DistributionError) -> RegistryName? {
        let name = "ns=".utf8
        var rest = query
        while let query = rest {
            let item: Part
            (item, rest) = split(query, at: UInt8(ascii: "&"))
            guard item.starts(with: name) else { continue }
            let raw = item.dropFirst(name.count)
            if raw.isEmpty { return nil }
            guard let decoded = percentDecoded(raw), let registry = RegistryName(decoded) else {
                let detail = clipped(text(raw))
                throw DistributionError(.nameInvalid, "malformed registry name in the parameter ns", detail: detail)
            }
            return registry
        }
        return nil
    }

    /// Decodes RFC 3986, section 2.1. Returns `nil` for a malformed escape or a result that is not UTF-8.
    private static func percentDecoded(_ part: Part) -> String? {
        guard part.contains(UInt8(ascii: "%")) else { return text(part) }
        var bytes: [UInt8] = []
        var rest = part
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(hexValue), let low = rest.popFirst().flatMap(hexValue) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func hexValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    private static func clipped(_ text: some StringProtocol) -> String {
        String(text.prefix(256))
    }
}

extension DistributionRequest {
    /// The key under which nodes advertise the content: the digest, or the full tag name. `nil` for a tag without a
    /// registry.
    public var key: String? {
        switch target {
        case .digest(let digest): digest.text
        case .tag(let tag): registry.map { "\($0.text)/\(repository.text):\(tag.text)" }
        }
    }

    /// The path and query of the same request to a peer.
    public var path: String {
        let reference =
            switch target {
            case .digest(let digest): digest.text
            case .tag(let tag): tag.text
            }
        let query = registry.map { "?ns=" + Self.percentEncoded($0.text) } ?? ""
        return "/v2/\(repository.text)/\(kind.rawValue)/\(reference)\(query)"
    }

    /// The error response when no reachable node has the content.
    public var notFound: DistributionError {
        switch kind {
        case .manifest: DistributionError(.manifestUnknown, "no node has the manifest", detail: key)
        case .blob: DistributionError(.blobUnknown, "no node has the blob", detail: key)
        }
    }

    private static func percentEncoded(_ text: String) -> String {
        guard text.utf8.contains(where: { [0x3A, 0x5B, 0x5D].contains($0) }) else { return text }
        return text.replacing(":", with: "%3A").replacing("[", with: "%5B").replacing("]", with: "%5D")
    }
}
