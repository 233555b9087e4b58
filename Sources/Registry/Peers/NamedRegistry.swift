import OCI
import Routing

/// The registry that a request to peers names, for a client that has named none.
///
/// Nodes of Spegel in Go answer 404 to a request without the parameter `ns`, also by digest. In order:
///
/// 1. the registry of a manifest that passed by and named the content;
/// 2. the first of the mirrored registries, by name;
/// 3. `docker.io`.
///
/// A digest means the same content in every registry, so a wrong name costs nothing but a label in the peer's metrics. A
/// name that the filter of this node refuses is left out, because peers have the same filter.
enum NamedRegistry {
    /// The request to peers for a client's request.
    ///
    /// - Parameter known: the registry of a manifest that named the content.
    static func request(
        to content: DistributionRequest,
        filter: ContentFilter,
        known: @autoclosure () -> RegistryName?
    ) -> DistributionRequest {
        guard content.registry == nil, case .digest = content.target else { return content }
        let registry = known() ?? filter.registries?.min { $0.text < $1.text } ?? RegistryName("docker.io")
        let named = DistributionRequest(
            kind: content.kind,
            repository: content.repository,
            target: content.target,
            registry: registry
        )
        return filter.allows(named) ? named : content
    }
}
