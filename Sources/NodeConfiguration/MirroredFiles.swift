import Files
import OCI

/// The files to write: for each mirrored registry a `hosts.toml` with the mirrors before what was in force until now.
/// Pure.
struct MirroredFiles {
    /// The files by path in the first configuration folder.
    private(set) var files: [String: ConfigurationTree.Entry] = [:]
    /// The paths of existing files that containerd cannot read either, and why. Their hosts are not in force.
    private(set) var unreadable: [String] = []

    private let configuration: MirrorConfiguration
    private let folders: RegistryFolders

    /// Plans the files.
    ///
    /// - Parameters:
    ///   - configuration: the settings.
    ///   - roots: what the administrator configured, in the order of the configuration folders. The files are for the
    ///     first one.
    /// - Throws: ``NodeConfigurationError/malformedFile(path:line:reason:)`` for a file to be kept.
    init(_ configuration: MirrorConfiguration, roots: [ConfigurationTree]) throws {
        self.configuration = configuration
        folders = RegistryFolders(roots: roots)
        var mirrored: [(registry: String, server: String?)] = []
        let configured = folders.configuredRegistries
        for url in configuration.mirroredRegistries {
            let names = url.names.map(\.text)
            let others = configured.filter { $0.lowercased() == url.host.text && !names.contains($0) }
            for name in names + others where !mirrored.contains(where: { $0.registry == name }) {
                mirrored.append((name, url.server))
            }
        }
        if configuration.mirrorsOthers || configuration.mirroredRegistries.isEmpty {
            for name in configured where !mirrored.contains(where: { $0.registry == name }) {
                mirrored.append((name, nil))
            }
            try add(nil, server: nil)
        }
        for (registry, server) in mirrored { try add(registry, server: server) }
    }

    private mutating func add(_ registry: String?, server: String?) throws {
        let source = folders.inForce(registry)
        let own = registry.map(RegistryFolders.names) ?? [RegistryFolders.others]
        // A folder of the registry's own stays where it is, under the name that it has.
        let folder = source.flatMap { own.contains($0.name) ? $0.name : nil } ?? own.last ?? RegistryFolders.others
        var mode: UInt32 = 0o644
        var existing: ExistingHosts?
        if let source {
            let tree = folders.roots[source.root]
            let path = source.name + "/" + RegistryFolders.hostsFile
            existing = try hosts(tree, source.name, path)
            if let found = tree.entry(path), found.kind == .file { mode = found.mode }
            if let base = base(source, for: folder) { existing?.rebase(to: base) }
        }
        if configuration.authorization != nil { mode &= 0o600 }
        let text = hostsFile(existing, registry: registry, server: server).text
        files[folder + "/" + RegistryFolders.hostsFile] = .file(Array(text.utf8), mode: mode)
    }

    /// Where the relative paths of a source are true, seen from the folder that is written; `nil` for there.
    private func base(_ source: RegistryFolders.Place, for folder: String) -> String? {
        if source.root > 0 { return configuration.folderPaths[source.root] + "/" + source.name }
        // The link gives way to a folder.
        if let target = folders.roots[source.root].entries[source.name]?.target {
            return target.hasPrefix("/") ? target : "../" + target
        }
        return source.name == folder ? nil : "../" + source.name
    }

    /// What containerd reads from a folder.
    private mutating func hosts(_ tree: ConfigurationTree, _ folder: String, _ path: String) throws -> ExistingHosts {
        if let content = tree.content(path), !content.isEmpty {
            do {
                return try ExistingHosts(content: content, path: configuration.path(path))
            } catch {
                guard !configuration.prependExisting else { throw error }
                unreadable.append("\(error)")
            }
        }
        return ExistingHosts(certificatesIn: tree.files(in: folder).filter { !$0.contains("/") })
    }

    private func hostsFile(_ existing: ExistingHosts?, registry: String?, server: String?) -> HostsFile {
        var file = HostsFile(server: server, settings: existing?.settings, reader: configuration.reader)
        let isFresh = configuration.resolveTags && configuration.tags == .fresh
        let capabilities = configuration.resolveTags && !isFresh ? ["pull", "resolve"] : ["pull"]
        for target in configuration.mirrorTargets { file.append(mirror(target.description, capabilities)) }
        let mirrors = Set(configuration.mirrorTargets.map { HostAddress.normalised($0.description) })
        var kept: [ExistingHosts.Host] = []
        if configuration.prependExisting {
            kept = (existing?.hosts ?? []).filter { !mirrors.contains(HostAddress.normalised($0.name)) }
        }
        kept.forEach { file.append($0) }
        if isFresh, let registry {
            // containerd asks a host for tags only if it may pull from it too.
            let upstream = upstream(existing, registry: registry, server: server)
            if !kept.contains(where: { HostAddress.normalised($0.name) == HostAddress.normalised(upstream.name) }) {
                file.append(upstream)
            }
            // Another name of the mirror, since a name can be there once only.
            for target in configuration.mirrorTargets {
                file.append(mirror(target.description + "/", ["pull", "resolve"]))
            }
        }
        return file
    }

    private func mirror(_ name: String, _ capabilities: [String]) -> ExistingHosts.Host {
        let table = TOMLTable(origin: .header)
        table.set("capabilities", to: .array(capabilities.map { .string($0) }), line: 0)
        if let timeout = configuration.dialTimeout, timeout > .zero {
            table.set("dial_timeout", to: .string(Self.text(timeout)), line: 0)
        }
        if let authorization = configuration.authorization {
            let header = TOMLTable(origin: .header)
            header.set("Authorization", to: .string(authorization), line: 0)
            table.set("header", to: .table(header), line: 0)
        }
        return ExistingHosts.Host(name: name, settings: table)
    }

    /// The upstream as a host, to be asked before the mirror.
    private func upstream(_ existing: ExistingHosts?, registry: String, server: String?) -> ExistingHosts.Host {
        let table = TOMLTable(origin: .header)
        var name = server ?? (registry == "docker.io" ? "https://registry-1.docker.io" : "https://" + registry)
        for entry in existing?.settings.entries ?? [] {
            if entry.key == "server", case .string(let text) = entry.value {
                name = text
            } else {
                table.set(entry.key, to: entry.value, line: 0)
            }
        }
        table.set("capabilities", to: .array([.string("pull"), .string("resolve")]), line: 0)
        if table.value("dial_timeout") == nil {
            let timeout = MirrorConfiguration.Defaults.upstreamDialTimeout
            table.set("dial_timeout", to: .string(Self.text(timeout)), line: 0)
        }
        return ExistingHosts.Host(name: name, settings: table)
    }

    private static func text(_ timeout: Duration) -> String {
        "\(Int64(min(max(1, timeout / .milliseconds(1)).rounded(), 1e12)))ms"
    }
}
