import OCI

/// The folders in which containerd finds the configuration of a registry. Pure.
struct RegistryFolders {
    /// The folder for registries without one of their own.
    static let others = "_default"
    static let hostsFile = "hosts.toml"

    /// A folder in one of the configuration folders.
    struct Place: Hashable {
        /// The position of the configuration folder.
        var root: Int
        var name: String
    }

    /// The configuration folders in containerd's order.
    let roots: [ConfigurationTree]

    /// The folder that containerd takes for a registry: in the first configuration folder that has one, `_default`
    /// included.
    ///
    /// - Parameter registry: the name in references; `nil` for one without a folder of its own.
    func inForce(_ registry: String?) -> Place? {
        for (position, root) in roots.enumerated() {
            for name in (registry.map(Self.names) ?? []) + [Self.others] where root.isFolder(name) {
                return Place(root: position, name: name)
            }
        }
        return nil
    }

    /// The folder names for a registry, in the order in which containerd looks for them. A port may be written `_5000_`.
    static func names(_ registry: String) -> [String] {
        guard let colon = registry.lastIndex(of: ":"), !registry.hasSuffix("]") else { return [registry] }
        return [registry[..<colon] + "_" + registry[registry.index(after: colon)...] + "_", registry]
    }

    /// The registry of a folder; `nil` if references cannot name it: their first component is `localhost`, or has a dot
    /// or a port.
    static func registry(ofFolder name: String) -> String? {
        var registry = name
        if name.hasSuffix("_"), let start = name.dropLast().lastIndex(of: "_") {
            let port = name[name.index(after: start)...].dropLast()
            if !port.isEmpty, port.allSatisfy({ $0.isASCII && $0.isNumber }) { registry = name[..<start] + ":" + port }
        }
        guard RegistryName(registry) != nil, !name.hasPrefix("_"),
            registry == "localhost" || registry.contains(".") || registry.contains(":")
        else { return nil }
        return registry
    }

    /// The registries with a folder of their own that is in force.
    var configuredRegistries: [String] {
        var found: [String] = []
        for (position, root) in roots.enumerated() {
            for folder in root.folders {
                guard let registry = Self.registry(ofFolder: folder), !found.contains(registry),
                    inForce(registry) == Place(root: position, name: folder)
                else { continue }
                found.append(registry)
            }
        }
        return found
    }
}
