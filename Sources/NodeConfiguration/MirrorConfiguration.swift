import Files
import Logging

/// Configures containerd to ask mirrors before the upstreams, with the `hosts.toml` files of its registry configuration
/// folder (`config_path`, mostly `/etc/containerd/certs.d`).
///
/// The first run moves existing entries of that folder to `_backup` in it. ``restore(path:logger:)`` moves them back.
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
    }

    /// containerd's registry configuration folder; created if missing.
    public var registryConfigPath: String
    /// The mirrored registries; none means all, with the folder `_default`.
    public var mirroredRegistries: [RegistryURL]
    /// Whether all other registries are mirrored as well, with the folder `_default`.
    public var mirrorsOthers: Bool
    /// The mirrors in order.
    public var mirrorTargets: [RegistryURL]
    /// Whether mirrors resolve tags, or serve content by digest only.
    public var resolveTags: Bool
    /// Whether to keep the hosts of an existing `hosts.toml` after the mirrors, with its settings of the registry
    /// itself.
    public var prependExisting: Bool
    /// containerd's time-out for connecting to a mirror. containerd supports the setting from 2.1 on, and older
    /// versions ignore it. `nil` and zero omit it.
    public var dialTimeout: Duration?
    /// The header `Authorization` for the mirrors. Only their owner may read the files with it.
    public var authorization: String?

    /// Creates a configuration.
    public init(
        registryConfigPath: String,
        mirroredRegistries: [RegistryURL],
        mirrorsOthers: Bool = false,
        mirrorTargets: [RegistryURL],
        resolveTags: Bool = Defaults.resolveTags,
        prependExisting: Bool = Defaults.prependExisting,
        dialTimeout: Duration? = Defaults.dialTimeout,
        authorization: String? = nil
    ) {
        self.registryConfigPath = registryConfigPath
        self.mirroredRegistries = mirroredRegistries
        self.mirrorsOthers = mirrorsOthers
        self.mirrorTargets = mirrorTargets
        self.resolveTags = resolveTags
        self.prependExisting = prependExisting
        self.dialTimeout = dialTimeout
        self.authorization = authorization
    }

    /// The changes in the configuration folder. All names and paths are relative to it, in order.
    public struct Report: Hashable, Sendable {
        /// Entries that were moved into the backup.
        public var backedUp: [String] = []
        /// Entries that were moved back from the backup.
        public var restored: [String] = []
        /// Files that were written.
        public var written: [String] = []
        /// Files that needed no change.
        public var unchanged: [String] = []
        /// Entries that were removed, because neither this configuration nor the backup has them.
        public var removed: [String] = []

        /// Whether there was any change.
        public var isChange: Bool {
            !(backedUp.isEmpty && restored.isEmpty && written.isEmpty && removed.isEmpty)
        }
    }

    /// Writes the configuration. A second run changes nothing. A run after a failure completes the work.
    ///
    /// - Throws: ``NodeConfigurationError`` before any change, when settings contradict each other or an existing file
    ///   is malformed. `FileError` when the folder cannot be changed.
    @discardableResult
    public func apply(logger: Logger) throws -> Report {
        let report = try apply(editor: FolderEditor())
        for name in report.backedUp { log(logger, "backed up the previous configuration", name) }
        for name in report.removed { log(logger, "removed an entry of an earlier run", name) }
        for name in report.written { log(logger, "wrote the mirrors of a registry", name) }
        return report
    }

    /// Removes the written configuration and restores the previous one. Does nothing without a backup.
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
        logger.info(message, metadata: ["path": "\(registryConfigPath)/\(name)"])
    }

    @discardableResult
    func apply(editor: FolderEditor) throws -> Report {
        let folders = try validatedFolders()
        let backup = BackupFolder(configPath: registryConfigPath, editor: editor)
        try editor.makeFolder(registryConfigPath)
        let lock = try FolderLock(registryConfigPath)
        defer { withExtendedLifetime(lock) {} }
        // Read and parse everything before the first change.
        try backup.validate()
        let plan = try folders.map { try $0.files(self, sources: backup.existingFolders) }

        var report = Report()
        report.backedUp = try backup.make()
        for (folder, files) in zip(folders, plan) {
            try write(files, to: folder.name, editor: editor, report: &report)
        }
        // Remove last, so that a registry that stays mirrored never lacks its file.
        let kept = Set(folders.map(\.name))
        report.removed += try backup.removeEntries { !kept.contains($0) }
        return report
    }

    @discardableResult
    static func restore(path: String, editor: FolderEditor) throws -> Report {
        var report = Report()
        guard try Files.status(path, followLinks: true) != nil else { return report }
        let lock = try FolderLock(path)
        defer { withExtendedLifetime(lock) {} }
        let backup = BackupFolder(configPath: path, editor: editor)
        try backup.validate()
        (report.removed, report.restored) = try backup.restore()
        return report
    }

    private func write(
        _ files: [RegistryFolder.File],
        to folder: String,
        editor: FolderEditor,
        report: inout Report
    ) throws {
        let path = registryConfigPath + "/" + folder
        if let status = try Files.status(path), status.kind != .folder { try editor.remove(path) }
        try editor.makeFolder(path)
        for file in files {
            let target = path + "/" + file.name
            let name = folder + "/" + file.name
            if let status = try Files.status(target), status.kind == .file, status.mode == file.mode,
                status.size == Int64(file.content.count),
                try Files.read(target, limit: file.content.count) == file.content
            {
                report.unchanged.append(name)
                continue
            }
            if try Files.status(target)?.kind == .folder { try editor.remove(target) }
            try editor.replace(target, with: file.content, mode: file.mode)
            report.written.append(name)
        }
        // A file may be in a subfolder.
        let kept = Set(files.compactMap { $0.name.split(separator: "/").first.map(String.init) })
        for name in try Files.names(in: path) ?? [] where !kept.contains(name) {
            try editor.remove(path + "/" + name)
            report.removed.append(folder + "/" + name)
        }
    }

    func validatedFolders() throws(NodeConfigurationError) -> [RegistryFolder] {
        guard !registryConfigPath.isEmpty else { throw .missingConfigPath }
        guard !mirrorTargets.isEmpty else { throw .missingMirrorTarget }
        for (position, target) in mirrorTargets.enumerated() where mirrorTargets[..<position].contains(target) {
            throw .duplicateMirrorTarget(target)
        }
        for (position, registry) in mirroredRegistries.enumerated()
        where mirroredRegistries[..<position].contains(where: { $0.host == registry.host }) {
            throw .duplicateRegistry(registry)
        }
        let others = mirrorsOthers || mirroredRegistries.isEmpty ? [RegistryFolder(registry: nil)] : []
        return mirroredRegistries.map { RegistryFolder(registry: $0) } + others
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
        case .conflict(let from, let to):
            "cannot move \(from) to \(to), which exists: remove one of them"
        }
    }
}
