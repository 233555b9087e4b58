import Files

/// A registry's folder as it stands in containerd's registry configuration, and the hosts that it names.
public struct MirroredFolder: Hashable, Sendable {
    /// The name of the folder: a registry, or `_default`.
    public var name: String
    /// The hosts that containerd asks, in its order.
    public var hosts: [String]

    /// Makes a folder.
    public init(name: String, hosts: [String]) {
        self.name = name
        self.hosts = hosts
    }

    /// Reads what stands in a configuration folder, without what this program has moved aside.
    ///
    /// - Throws: `FileError`, or ``NodeConfigurationError`` for a file that containerd could not read either.
    public static func read(_ configPath: String) throws -> [MirroredFolder] {
        var folders: [MirroredFolder] = []
        for name in try Files.names(in: configPath) ?? [] where name != BackupFolder.name {
            let path = "\(configPath)/\(name)/\(RegistryFolder.hostsFile)"
            guard let content = try Files.read(path, limit: RegistryFolder.maximumFileSize) else { continue }
            folders.append(
                MirroredFolder(name: name, hosts: try ExistingHosts(content: content, path: path).hosts.map(\.name))
            )
        }
        return folders.sorted { $0.name < $1.name }
    }
}
