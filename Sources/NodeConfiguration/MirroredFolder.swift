import Files

/// A registry's folder in containerd's registry configuration, with its hosts.
public struct MirroredFolder: Hashable, Sendable {
    /// The name of the folder: a registry, or `_default`.
    public var name: String
    /// The hosts in the order in which containerd asks them.
    public var hosts: [String]
    /// Why containerd does not read the file as it is meant.
    public var problem: String?

    /// Creates a folder.
    public init(name: String, hosts: [String], problem: String? = nil) {
        self.name = name
        self.hosts = hosts
        self.problem = problem
    }

    /// Reads a configuration folder, without this program's backup.
    ///
    /// - Parameter reader: the containerd that reads the files.
    /// - Throws: `FileError`, or ``NodeConfigurationError`` for a file that containerd cannot read either.
    public static func read(_ configPath: String, for reader: HostsReader = .any) throws -> [MirroredFolder] {
        var folders: [MirroredFolder] = []
        for path in MirrorConfiguration.folderPaths(configPath) {
            for name in try Files.names(in: path) ?? [] where !ConfigurationFolder.ownNames.contains(name) {
                guard !folders.contains(where: { $0.name == name }) else { continue }
                let path = "\(path)/\(name)/\(RegistryFolders.hostsFile)"
                guard let content = try Files.read(path, limit: ConfigurationTree.maximumFileSize) else { continue }
                let (hosts, problem) = try reader.hosts(content, path: path)
                folders.append(MirroredFolder(name: name, hosts: hosts, problem: problem))
            }
        }
        return folders.sorted { $0.name < $1.name }
    }

    /// The mirrors that this program has written to a configuration folder, in order.
    public static func writtenMirrors(_ configPath: String) throws -> [String] {
        guard let path = MirrorConfiguration.folderPaths(configPath).first else { return [] }
        return try Manifest.read(path + "/" + Manifest.name)?.mirrors ?? []
    }
}
