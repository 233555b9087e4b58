import ContentStore
import OCI

/// Reads where content comes from out of the labels that containerd puts on it:
/// `containerd.io/distribution.source.REGISTRY` with the repositories, separated by commas.
struct SourceLabels {
    /// The most sources of one piece of content that are looked at.
    private static let maximumSources = 64
    /// The most labels that are remembered.
    private static let maximumKnown = 10_000
    private static let prefix = "containerd.io/distribution.source."

    /// Many pieces of content have the same sources, which are then kept once.
    private var known: [String: [ContentSource]] = [:]

    /// The repositories that the labels name.
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
