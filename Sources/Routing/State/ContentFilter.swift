import OCI

/// Which images this node shares: chosen by registry, and by whether tags are shared at all.
public struct ContentFilter: Sendable {
    /// The registries whose images are shared; `nil` shares those of all.
    public var registries: Set<RegistryName>?
    /// Whether tags are advertised; digests always are.
    public var sharesTags: Bool

    /// Makes a filter.
    public init(registries: Set<RegistryName>? = nil, sharesTags: Bool = true) {
        self.registries = registries
        self.sharesTags = sharesTags
    }

    /// Whether content that an image names may be shared. An image whose name is no reference says nothing of where
    /// it comes from, so it is no reason to hold its content back.
    public func allowsContent(ofImage name: String) -> Bool {
        guard let registries, let reference = try? Reference(name) else { return true }
        return registries.contains(reference.registry)
    }

    /// The tag name under which an image is advertised, or `nil` when it is not.
    public func tagName(ofImage name: String) -> String? {
        guard sharesTags, let reference = try? Reference(name) else { return nil }
        if let registries, !registries.contains(reference.registry) { return nil }
        // With a digest beside it the tag is not what the name stands for.
        return reference.digest == nil ? reference.tagName : nil
    }
}
