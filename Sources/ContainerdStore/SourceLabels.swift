import ContentStore
import OCI

/// Parses the source labels of containerd's content: `containerd.io/distribution.source.REGISTRY` with the repositories
/// separated by commas.
struct SourceLabels {
    /// The maximum number of sources of one piece of content.
    private static let maximumSources = 64
    /// The maximum number of cached labels.
    private static let maximumKnown = 10_000
    private static let prefix = "containerd.io/distribution.source."

    /// Cached sources by label. Many pieces of content share their sources.
    private var known: [String: [ContentSource]] = [:]

    /// The repositories in the labels.
    mutating func sources(in labels: [String: String]) -> [ContentSource] {
        var sources: [ContentSource] = []
        for (label, repositories) in labels where label.hasPrefix(Self.prefix) {
            let found = read(label, repositories)
            sources = sources.isEmpty ? found : Array((sources + found).prefix(Self.maximumSources))
        }
        return sources
    }

    private mutating func read(_ label: String, _ repositories: String) -> [ContentSource] {
        let key = label + "=" + repositories
        if let sources = known[key] { return sources }
        var sources: [ContentSource] = []
        if let registry = RegistryName(label.dropFirst(Self.prefix.count)) {
            for text in repositories.split(separator: ",", maxSplits: Self.maximumSources).prefix(Self.maximumSources) {
                guard let repository = RepositoryName(text) else { continue }
                sources.append(ContentSource(registry: registry, repository: repository))
            }
        }
        if known.count < Self.maximumKnown { known[key] = sources }
        return sources
    }
}
