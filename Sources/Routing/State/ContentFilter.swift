import ContentStore
import OCI

/// Which images this node shares, in both directions: what it advertises, and what it answers and looks up.
public struct ContentFilter: Hashable, Sendable {
    /// The registries whose images are shared; `nil` shares those of all.
    public var registries: Set<RegistryName>?
    /// Images whose `REGISTRY/REPOSITORY[:TAG]` one of these finds are not shared.
    public var excluded: [ReferencePattern]
    /// Whether tags are shared; digests always are.
    public var sharesTags: Bool

    /// Makes a filter.
    public init(registries: Set<RegistryName>? = nil, excluded: [ReferencePattern] = [], sharesTags: Bool = true) {
        self.registries = registries
        self.excluded = excluded
        self.sharesTags = sharesTags
    }

    /// What the name of an image says of its content.
    enum Verdict: Hashable {
        /// It may be shared.
        case shared
        /// It may not, unless another image names it that is shared.
        case withheld
        /// Nothing: the name is no reference. Imported images have such names, and so has, beside others, each image
        /// that a kubelet pulls.
        case unsaid
    }

    /// Whether content is shared wherever it comes from.
    var sharesAllContent: Bool {
        registries == nil && excluded.isEmpty
    }

    /// Whether what a request asks for is answered. Where it does not name a registry, only its kind is looked at:
    /// whoever asks for a digest then knows the content already.
    public func allows(_ request: DistributionRequest) -> Bool {
        var tag: Tag?
        if case .tag(let asked) = request.target {
            guard sharesTags else { return false }
            tag = asked
        }
        guard let registry = request.registry else { return true }
        return allows(registry, request.repository, tag)
    }

    /// Whether content that was pulled from a repository may be shared. containerd's label names the host of the
    /// registry without its port.
    func allows(_ source: ContentSource) -> Bool {
        guard let registries else { return allows(source.registry, source.repository, nil) }
        let meant = registries.filter { $0 == source.registry || $0.host == source.registry.text }
        return !meant.isEmpty && meant.allSatisfy { allows($0, source.repository, nil) }
    }

    /// What the name of an image says of its content.
    func verdict(ofImage name: String) -> Verdict {
        guard let reference = try? Reference(name) else { return .unsaid }
        return allows(reference.registry, reference.repository, reference.tag) ? .shared : .withheld
    }

    /// The tag name under which an image is advertised, or `nil` when it is not.
    func tagName(ofImage name: String) -> String? {
        guard sharesTags, let reference = try? Reference(name),
            allows(reference.registry, reference.repository, reference.tag)
        else { return nil }
        // With a digest beside it the tag is not what the name stands for.
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
