import Files
import Logging

/// Configures containerd to ask mirrors before the upstreams, with the `hosts.toml` files of its registry configuration
/// folder (`config_path`, mostly `/etc/containerd/certs.d`).
///
/// What an administrator configured there stays in force, after the mirrors or untouched, and is kept in `_backup` in that
/// folder. ``restore(path:logger:)`` gives all back as it was, with what the administrator has changed since.
public struct MirrorConfiguration: Hashable, Sendable {
    /// The values that the program's flags have by default.
    public enum Defaults {
        /// See ``MirrorConfiguration/registryConfigPath``.
        public static let registryConfigPath = "/etc/containerd/certs.d"
        /// See ``MirrorConfiguration/resolveTags``.
        public static let resolveTags = true
        /// See ``MirrorConfiguration/prependExisting``.
        public static let prependExisting = false
        /// See ``MirrorConfiguration/dialTimeout``.
        public static let dialTimeout = Duration.milliseconds(200)
        /// See ``MirrorConfiguration/tags``.
        public static let tags = Tags.cached
        /// containerd's time-out for connecting to an upstream that it asks before a mirror.
        static let upstreamDialTimeout = Duration.seconds(3)
    }

    /// Who resolves tags first.
    public enum Tags: String, Hashable, Sendable, CaseIterable {
        /// The mirrors.
        case cached
        /// The upstream; the mirrors when it cannot be reached.
        case fresh
    }

    /// containerd's registry configuration folder; created if missing. It may be a list of folders as in containerd's
    /// `config_path`, with colons between them: the first one is changed, and shadows what is in the others.
    public var registryConfigPath: String
    /// The mirrored registries; none means all, with the folder `_default`.
    public var mirroredRegistries: [RegistryURL]
    /// Whether all other registries are mirrored as well, with the folder `_default`.
    public var mirrorsOthers: Bool
    /// The mirrors in order.
    public var mirrorTargets: [RegistryURL]
    /// Whether mirrors resolve tags, or serve content by digest only.
    public var resolveTags: Bool
    /// Who resolves tags first, if mirrors do. Registries without a folder of their own are resolved by their upstream
    /// only when tags are fresh, since a file for all of them cannot name it.
    public var tags: Tags
    /// Whether to keep the hosts of an existing `hosts.toml` after the mirrors. Its settings of the registry itself, which
    /// are its address, certificates and headers, are kept in any case.
    public var prependExisting: Bool
    /// containerd's time-out for connecting to a mirror. containerd supports the setting from 2.1 on, and older
    /// versions ignore it. `nil` and zero omit it.
    public var dialTimeout: Duration?
    /// The header `Authorization` for the mirrors. Only their owner may read the files with it.
    public var authorization: String?
    /// The containerd that reads the files.
    public var reader = HostsReader.any

    /// Creates a configuration.
    public init(
        registryConfigPath: String,
        mirroredRegistries: [RegistryURL],
        mirrorsOthers: Bool = false,
        mirrorTargets: [RegistryURL],
        resolveTags: Bool = Defaults.resolveTags,
        tags: Tags = Defaults.tags,
        prependExisting: Bool = Defaults.prependExisting,
        dialTimeout: Duration? = Defaults.dialTimeout,
        authorization: String? = nil
    ) {
        self.registryConfigPath = registryConfigPath
        self.mirroredRegistries = mirroredRegistries
        self.mirrorsOthers = mirrorsOthers
        self.mirrorTargets = mirrorTargets
        self.resolveTags = resolveTags
        self.tags = tags
        self.prependExisting = prependExisting
        self.dialTimeout = dialTimeout
        self.authorization = authorization
    }

    /// The changes in the configuration folder. All names and paths are relative to it, in order.
    public struct Report: Hashable, Sendable {
        /// Entries of the folder that are in the backup since this run.
        public var backedUp: [String] = []
        /// Entries that the administrator added or changed since the last run.
        public var takenOver: [String] = []
        /// Entries that came back from the backup.
        public var restored: [String] = []
        /// Files that were written.
        public var written: [String] = []
        /// Files that needed no change.
        public var unchanged: [String] = []
        /// Entries of earlier runs that were removed.
        public var removed: [String] = []
        /// Existing files that containerd cannot read either, with the reason.
        public var unreadable: [String] = []

        /// Whether there was any change.
        public var isChange: Bool {
            !(backedUp.isEmpty && takenOver.isEmpty && restored.isEmpty && written.isEmpty && removed.isEmpty)
        }
    }

    /// Writes the configuration. A second run changes nothing. A run after a failure completes the work.
    ///
    /// - Throws: ``NodeConfigurationError`` before any change, when settings contradict each other or a file to be kept is
    ///   malformed. `FileError` when the folder cannot be changed.
    @discardableResult
    public func apply(logger: Logger) throws -> Report {
        let report = try apply(editor: FolderEditor())
        for reason in report.unreadable {
            logger.warning(
                "existing hosts.toml malformed, containerd ignores it too",
                metadata: ["reason": "\(reason)"]
            )
        }
        for name in report.backedUp { log(logger, "backed up the previous configuration", name) }
        for name in report.takenOver { log(logger, "backed up a change of the configuration", name) }
        for name in report.removed { log(logger, "removed an entry of an earlier run", name) }
        for name in report.restored { log(logger, "restored the previous configuration", name) }
        for name in report.written { log(logger, "wrote the mirrors of a registry", name) }
        return report
    }

    /// Removes the written configuration and restores the previous one, with what was added or changed since. Does nothing
    /// without a backup.
    ///
    /// - Throws: ``NodeConfigurationError`` or `FileError`. The backup stays complete, and the next run continues.
    @discardableResult
    public static func restore(path: String, logger: Logger) throws -> Report {
        let report = try restore(path: path, editor: FolderEditor())
        for name in report.restored {
            logger.info("restored the previous configuration", metadata: ["path": "\(path)/\(name)"])
        }
        return report
    }

    private func log(_ logger: Logger, _ message: Logger.Message, _ name: String) {
        logger.info(message, metadata: ["path": "\(path(name))"])
    }

    /// The configuration folders, in containerd's order. The first one is the one to change.
    var folderPaths: [String] { Self.folderPaths(registryConfigPath) }

    static func folderPaths(_ path: String) -> [String] {
        path.split(separator: ":").map(String.init)
    }

    /// The path of an entry of the folder to change.
    func path(_ name: String) -> String {
        (folderPaths.first ?? "") + "/" + name
    }

    @discardableResult
    func apply(editor: FolderEditor) throws -> Report {
        try validate()
        guard let path = folderPaths.first else { throw NodeConfigurationError.missingConfigPath }
        let folder = ConfigurationFolder(path: path, editor: editor)
        try editor.makeFolder(path)
        let lock = try FolderLock(path)
        defer { withExtendedLifetime(lock) {} }
        try folder.repair()
        // Read and parse everything before the first change.
        let state = try folder.state(mirrors: mirrorTargets.map(\.description))
        let plan = try self.plan(state)
        var report = try folder.change(state, to: plan.files, mirrors: mirrorTargets.map(\.description))
        report.unreadable = plan.unreadable
        return report
    }

    /// The files to write.
    func plan(_ state: ConfigurationFolder.State) throws -> MirroredFiles {
        let others = try folderPaths.dropFirst().map { path in
            try ConfigurationTree.read(path, skipping: ConfigurationFolder.ownNames) ?? ConfigurationTree()
        }
        return try MirroredFiles(self, roots: [state.previous.tree] + others)
    }

    @discardableResult
    static func restore(path: String, editor: FolderEditor) throws -> Report {
        guard let path = folderPaths(path).first, try Files.status(path, followLinks: true) != nil else {
            return Report()
        }
        let lock = try FolderLock(path)
        defer { withExtendedLifetime(lock) {} }
        let folder = ConfigurationFolder(path: path, editor: editor)
        try folder.repair()
        let state = try folder.state(mirrors: [])
        guard state.backup != nil || state.manifest != nil else { return Report() }
        var report = try folder.change(state, to: [:], mirrors: [])
        report.backedUp = []
        try folder.removeBackup()
        return report
    }

    func validate() throws(NodeConfigurationError) {
        guard !folderPaths.isEmpty else { throw .missingConfigPath }
        guard !mirrorTargets.isEmpty else { throw .missingMirrorTarget }
        for (position, target) in mirrorTargets.enumerated() where mirrorTargets[..<position].contains(target) {
            throw .duplicateMirrorTarget(target)
        }
        for (position, registry) in mirroredRegistries.enumerated()
        where mirroredRegistries[..<position].contains(where: { $0.host == registry.host }) {
            throw .duplicateRegistry(registry)
        }
    }
}

/// An error from configuring a node.
public enum NodeConfigurationError: Error, Hashable, CustomStringConvertible {
    /// No configuration folder is set.
    case missingConfigPath
    /// No mirror is set.
    case missingMirrorTarget
    /// A mirror is listed twice.
    case duplicateMirrorTarget(RegistryURL)
    /// A registry is listed twice, possibly with different schemes.
    case duplicateRegistry(RegistryURL)
    /// An existing file is not TOML, or not a valid hosts file. The line counts from 1.
    case malformedFile(path: String, line: Int, reason: String)
    /// The backup is not a folder.
    case backupIsNoFolder(path: String)
    /// Both a complete and an incomplete backup exist.
    case twoBackups(String, String)
    /// A file in the place of this program's has another origin.
    case foreignFile(String)
    /// A `registries.conf` names each registry.
    case registriesNeedNames
    /// A mirror's address cannot be part of a reference.
    case addressNotInReferences(RegistryURL)
    /// A registry's name cannot be part of a mirror's path.
    case registryNotInPaths(RegistryURL)
    /// The configuration folder has more entries than this program handles.
    case tooManyEntries(limit: Int)
    /// An entry cannot be moved, because its new name is in use.
    case conflict(from: String, to: String)

    /// The error in words.
    public var description: String {
        switch self {
        case .missingConfigPath: "expected the path of containerd's registry configuration folder, found none"
        case .missingMirrorTarget: "expected at least one mirror target, such as http://127.0.0.1:30020, found none"
        case .duplicateMirrorTarget(let url): "duplicate mirror target \(url)"
        case .duplicateRegistry(let url): "duplicate registry \(url.host)"
        case .malformedFile(let path, let line, let reason): "\(path), line \(line): \(reason)"
        case .backupIsNoFolder(let path):
            "expected a folder with the backup of the previous configuration at \(path), found a file"
        case .twoBackups(let finished, let moving):
            "expected only one of \(finished) and \(moving), found both: merge them into \(finished)"
        case .foreignFile(let path):
            "expected no file or one of 'spegel configuration' at \(path), found another: rename it"
        case .registriesNeedNames:
            "expected the registries to mirror, such as https://docker.io: registries.conf has no entry for all others"
        case .addressNotInReferences(let url):
            "expected a mirror by host name or IPv4 address, got \(url): podman and CRI-O refuse IPv6 addresses here. "
                + "Example: http://localhost:5000"
        case .registryNotInPaths(let url):
            "expected a registry in lower case with a dot in its name, got \(url.scheme.rawValue)://\(url.written): "
                + "no other can be named in a mirror's path"
        case .tooManyEntries(let limit):
            "expected at most \(limit) files and folders in the registry configuration folder, found more"
        case .conflict(let from, let to):
            "cannot move \(from) to \(to), which exists: remove one of them"
        }
    }
}
