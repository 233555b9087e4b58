import ArgumentParser
import NodeConfiguration
import OCI

extension RegistryCommand {
    /// The names of the mirrored registries, or `nil` for all.
    func registryNames() throws -> Set<RegistryName>? {
        let items = listItems(mirroredRegistries)
        guard !items.isEmpty else { return nil }
        return Set(try urls(mirroredRegistries, flag: "--mirrored-registries").map(\.host))
    }
}
