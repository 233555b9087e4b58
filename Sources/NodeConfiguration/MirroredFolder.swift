import Files

/// A registry's folder in containerd's registry configuration, with its hosts.
public struct MirroredFolder: Hashable, Sendable {
    /// The name of the folder: a registry, or `_default`.
    public var name: String
    /// The hosts in the order in which containerd asks them.
    public var hosts: [String]

    /// Creates a folder.
    public init(name: String, hosts: [String]) {
        self.name = name
        self.hosts = hosts
    }

    /// Reads a configuration folder, without this program's backup.
    ///
    /// - Throws: `FileError`, or ``NodeConfigurationError`` for a file that containerd cannot read either.
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
