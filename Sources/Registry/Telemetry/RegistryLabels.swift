import OCI
import Synchronization

/// The registries that metrics are told apart by. Clients may ask in the name of any registry, so only those count
/// under their own name that this node was told to mirror, that are widely used, or whose images it holds.
public final class RegistryLabels: Sendable {
    /// What stands for every other registry, and for requests that name none.
    public static let other = "other"
    /// The most registries that are learnt from the images held here.
    public static let maximumLearnt = 64
    /// The registries that are known when none is configured.
    public static let wellKnown: Set<String> = [
        "docker.io", "gcr.io", "ghcr.io", "k8s.gcr.io", "lscr.io", "mcr.microsoft.com", "nvcr.io", "public.ecr.aws",
        "quay.io", "registry.gitlab.com", "registry.k8s.io",
    ]

    private let configured: Set<String>?
    private let learnt = Mutex<Set<String>>([])

    /// Labels for these registries and no others, or, with `nil`, for the well-known ones and those that are learnt.
    public init(configured: Set<RegistryName>?) {
        self.configured = configured.map { Set($0.map(\.text)) }
    }

    /// Notes the registries of images that are held here.
    public func learn(_ names: some Sequence<String>) {
        guard configured == nil else { return }
        learnt.withLock { learnt in
            for name in names where learnt.count < Self.maximumLearnt && !Self.wellKnown.contains(name) {
                learnt.insert(name)
            }
        }
    }

    /// The label of a registry.
    public func label(_ name: RegistryName?) -> String {
        name.map { label($0.text) } ?? Self.other
    }

    /// The label of a registry by its name.
    public func label(_ name: String) -> String {
        let isKnown =
            configured?.contains(name) ?? (Self.wellKnown.contains(name) || learnt.withLock { $0.contains(name) })
        return isKnown ? name : Self.other
    }
}
