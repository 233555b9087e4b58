import Files
import OCI

/// The folder of one or of all registries in containerd's configuration folder.
struct RegistryFolder {
    /// A file of the folder.
    struct File: Hashable {
        /// The path in the folder.
        var name: String
        var content: [UInt8]
        var mode: UInt32
    }

    static let hostsFile = "hosts.toml"
    /// The maximum size of a file to keep beside a hosts file, in bytes. Certificates are far smaller.
    static let maximumFileSize = 1 << 20
    /// The maximum number of files to keep beside a hosts file.
    static let maximumFiles = 256

    /// The registry; `nil` for all.
    let registry: RegistryURL?

    /// The name of the folder.
    var name: String {
        registry?.host.text ?? "_default"
    }

    /// The folder names that containerd looks for, in order. A port may be written `_5000_`.
    private var knownNames: [String] {
        guard let colon = name.lastIndex(of: ":"), !name.hasSuffix("]") else { return [name] }
        return [name[..<colon] + "_" + name[name.index(after: colon)...] + "_", name]
    }

    /// The files of the folder.
    ///
    /// - Parameter sources: the folders with the previous configuration.
    func files(_ configuration: MirrorConfiguration, sources: [String]) throws -> [File] {
        let (source, existing) = try existingHosts(configuration, sources) ?? (nil, nil)
        var hosts =
            existing.map { HostsFile(server: registry?.server, settings: $0.settings) }
            ?? HostsFile(server: registry?.server)
        var capabilities = ["pull"]
        if configuration.resolveTags { capabilities.append("resolve") }
        for target in configuration.mirrorTargets {
            hosts.addMirror(
                target,
                capabilities: capabilities,
                dialTimeout: configuration.dialTimeout,
                authorization: configuration.authorization
            )
        }
        var mode: UInt32 = 0o644
        var files: [File] = []
        if let source, let existing {
            let mirrors = Set(configuration.mirrorTargets.map(\.description))
            for host in existing.hosts where !mirrors.contains(host.name) { hosts.append(host) }
            mode = try Files.status(source + "/" + Self.hostsFile, followLinks: true)?.mode ?? mode
            try collect(from: source, within: "", into: &files)
        }
        if configuration.authorization != nil { mode &= 0o600 }
        files.insert(File(name: Self.hostsFile, content: Array(hosts.text.utf8), mode: mode), at: 0)
        return files
    }

    /// The existing hosts, if they are to be kept.
    private func existingHosts(
        _ configuration: MirrorConfiguration,
        _ sources: [String]
    ) throws -> (folder: String, hosts: ExistingHosts)? {
        guard configuration.prependExisting, let folder = try existingFolder(in: sources) else { return nil }
        let path = folder + "/" + Self.hostsFile
        let content = try Files.read(path, limit: Self.maximumFileSize) ?? []
        let hosts = try ExistingHosts(content: content, path: path)
        return hosts.hosts.isEmpty && hosts.settings.entries.isEmpty ? nil : (folder, hosts)
    }

    private func existingFolder(in sources: [String]) throws -> String? {
        for source in sources {
            for name in knownNames {
                let path = source + "/" + name
                if try Files.status(path + "/" + Self.hostsFile, followLinks: true) != nil { return path }
            }
        }
        return nil
    }

    /// Collects certificates and keys that a hosts file may reference by a relative path. Follows links, since their
    /// base changes.
    private func collect(from source: String, within folder: String, into files: inout [File], depth: Int = 0) throws {
        for entry in try Files.names(in: source + "/" + folder) ?? [] {
            let name = folder + entry
            if name == Self.hostsFile { continue }
            let path = source + "/" + name
            guard let status = try Files.status(path, followLinks: true) else { continue }
            if status.kind == .folder, depth < 8 {
                try collect(from: source, within: name + "/", into: &files, depth: depth + 1)
            } else if status.kind == .file, files.count < Self.maximumFiles,
                let content = try Files.read(path, limit: Self.maximumFileSize)
            {
                files.append(File(name: name, content: content, mode: status.mode))
            }
        }
    }
}
