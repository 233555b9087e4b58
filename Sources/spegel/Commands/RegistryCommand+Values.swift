import ArgumentParser
import NodeConfiguration
import OCI
import Routing

extension RegistryCommand {
    /// The names of the mirrored registries, or `nil` for all.
    func registryNames() throws -> Set<RegistryName>? {
        let registries = try MirroredRegistries(mirroredRegistries)
        guard !registries.urls.isEmpty, !registries.includesOthers else { return nil }
        return Set(registries.urls.map(\.host))
    }

    /// The images that the node shares.
    func contentFilter() throws -> ContentFilter {
        let patterns = registryFilters.flatMap(patternItems)
        guard patterns.count <= 100 else {
            throw ValidationError(
                "--registry-filters takes at most 100 regular expressions, there are \(patterns.count)."
            )
        }
        let excluded = try patterns.map { text in
            do {
                return try ReferencePattern(text)
            } catch {
                throw ValidationError("--registry-filters: '\(text.prefix(256))' is no regular expression: \(error).")
            }
        }
        return ContentFilter(registries: try registryNames(), excluded: excluded, sharesTags: resolveTags.isOn)
    }
}
