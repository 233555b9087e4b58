import ContentStore
import OCI

/// The images that this node shares. The filter applies to advertising, serving and lookups.
///
/// A request may name any image, or none, so its name alone never releases content: what is not advertised is withheld by
/// its digest as well (``ContentIndex/share(only:)``).
public struct ContentFilter: Hashable, Sendable {
    /// The registries whose images are shared; `nil` for all.
    public var registries: Set<RegistryName>?
    /// Patterns of images that are not shared, matched with `REGISTRY/REPOSITORY[:TAG]`.
    public var excluded: [ReferencePattern]
    /// Whether tags are shared. Digests always are.
    public var sharesTags: Bool

    /// Creates a filter.
    public init(registries: Set<RegistryName>? = nil, excluded: [ReferencePattern] = [], sharesTags: Bool = true) {
        self.registries = registries
        self.excluded = excluded
        self.sharesTags = sharesTags
    }

    /// What the name of an image implies for its content.
    enum Verdict: Hashable {
        /// The content may be shared.
        case shared
        /// The content must not be shared, unless a shared image references it as well.
        case withheld
        /// Nothing: the name is not a reference. Imported images have such names. So has each image that a kubelet
        /// pulls, in addition to others.
        case unsaid
    }

    /// Whether content of any origin is shared.
    var sharesAllContent: Bool {
        registries == nil && excluded.isEmpty
    }

    /// Whether what a request names is shared. Without a registry in it, only its kind is checked.
    public func allows(_ request: DistributionRequest) -> Bool {
        var tag: Tag?
        if case .tag(let asked) = request.target {
            guard sharesTags else { return false }
            tag = asked
        }
        guard let registry = request.registry else { return true }
        return allows(registry, request.repository, tag)
    }

    /// Whether content that was pulled from a repository may be shared. containerd's label has the registry's host
    /// without its port.
    func allows(_ source: ContentSource) -> Bool {
        guard let registries else { return allows(source.registry, source.repository, nil) }
        let meant = registries.filter { $0 == source.registry || $0.host == source.registry.text }
        return !meant.isEmpty && meant.allSatisfy { allows($0, source.repository, nil) }
    }

    /// What the name of an image implies for its content.
    func verdict(ofImage name: String) -> Verdict {
        guard let reference = try? Reference(name) else { return .unsaid }
        return allows(reference.registry, reference.repository, reference.tag) ? .shared : .withheld
    }

    /// The tag name to advertise for an image, or `nil`.
    func tagName(ofImage name: String) -> String? {
        guard sharesTags, let reference = try? Reference(name),
            allows(reference.registry, reference.repository, reference.tag)
        else { return nil }
        // Next to a digest, the tag does not determine the content.
        return reference.digest == nil ? reference.tagName : nil
    }

    private func allows(_ registry: RegistryName, _ repository: RepositoryName, _ tag: Tag?) -> Bool {
        if let registries, !registries.contains(registry) { return false }
        guard !excluded.isEmpty else { return true }
        let name = "\(registry.text)/\(repository.text)" + (tag.map { ":" + $0.text } ?? "")
        return !excluded.contains { $0.matches(name) }
    }
}

extension RegistryName {
    /// The name without its port.
    fileprivate var host: Substring {
        guard !text.hasSuffix("]"), let colon = text.lastIndex(of: ":") else { return text[...] }
        return text[..<colon]
    }
}
