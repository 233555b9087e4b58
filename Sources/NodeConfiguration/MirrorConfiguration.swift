import Files
import Logging

/// Tells containerd to ask mirrors before the registries, by the `hosts.toml` files of its registry configuration
/// folder (`config_path`, mostly `/etc/containerd/certs.d`).
///
/// Whatever stands in that folder before the first time is kept in `_backup` within it, and put back by
/// ``restore(path:logger:)``.
public struct MirrorConfiguration: Hashable, Sendable {
    /// containerd's registry configuration folder; it is made where it is missing.
    public var registryConfigPath: String
    /// The registries that are mirrored; none means all, by the folder `_default`.
    public var mirroredRegistries: [RegistryURL]
    /// Whether all other registries are mirrored too, by the folder `_default`.
    public var mirrorsOthers: Bool
    /// The mirrors, in the order in which they are asked.
    public var mirrorTargets: [RegistryURL]
    /// Whether mirrors are asked what a tag stands for, or for content by digest only.
    public var resolveTags: Bool
    /// Whether the hosts that a registry's `hosts.toml` named before are kept, after the mirrors, and with them what
    /// it says of the registry itself.
    public var prependExisting: Bool
    /// How long containerd tries to connect to a mirror. containerd knows the setting from 2.1 on, older versions
    /// pass over it. `nil` and zero leave it out.
    public var dialTimeout: Duration?
    /// The field `Authorization` that containerd sends to the mirrors. The files that have it are for their owner's
    /// eyes only.
    public var authorization: String?

    /// Makes a configuration.
    public init(
        registryConfigPath: String,
        mirroredRegistries: [RegistryURL],
        mirrorsOthers: Bool = false,
        mirrorTargets: [RegistryURL],
        resolveTags: Bool = true,
        prependExisting: Bool = false,
        dialTimeout: Duration? = .milliseconds(200),
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

    /// What was done in the configuration folder. All are names or paths relative to it, in order.
    public struct Report: Hashable, Sendable {
        /// Entries that were moved into the backup.
        public var backedUp: [String] = []
        /// Entries that were moved back from the backup.
        public var restored: [String] = []
        /// Files that were written.
        public var written: [String] = []
        /// Files that were as they should be.
        public var unchanged: [String] = []
        /// Entries that were removed, since neither this configuration nor the backup needs them.
        public var removed: [String] = []

        /// Whether anything was done.
        public var isChange: Bool {
            !(backedUp.isEmpty && restored.isEmpty && written.isEmpty && removed.isEmpty)
        }
    }

    /// Writes the configuration. A second time changes nothing; after a failure the next time goes on.
    ///
    /// - Throws: ``NodeConfigurationError`` when the settings contradict themselves or an existing file cannot be
    ///   understood; nothing is changed then. `FileError` when the folder cannot be changed.
    @discardableResult
    public func apply(logger: Logger) throws -> Report {
        let report = try apply(editor: FolderEditor())
        for name in report.backedUp { log(logger, "kept what was configured before", name) }
        for name in report.removed { log(logger, "removed an entry of an earlier configuration", name) }
        for name in report.written { log(logger, "wrote a registry's mirrors", name) }
        return report
    }

    /// Removes what was written into a configuration folder and puts back what stood there before. Without a backup
    /// nothing is done.
    ///
    /// - Throws: ``NodeConfigurationError`` or `FileError`; nothing of the backup is lost, and the next time goes on.
    @discardableResult
    public static func restore(path: String, logger: Logger) throws -> Report {
        let report = try restore(path: path, editor: FolderEditor())
        for name in report.restored {
            logger.info("put back what was configured before", metadata: ["path": "\(path)/\(name)"])
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
        // All is read and understood before anything is changed.
        try backup.validate()
        let plan = try folders.map { try $0.files(self, sources: backup.existingFolders) }

        var report = Report()
        report.backedUp = try backup.make()
        for (folder, files) in zip(folders, plan) {
            try write(files, to: folder.name, editor: editor, report: &report)
        }
        // Last, so that a registry that stays mirrored is never without its file.
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
        // A file may stand in a folder of this folder.
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

/// Why a node cannot be configured.
public enum NodeConfigurationError: Error, Hashable, CustomStringConvertible {
    /// No configuration folder was named.
    case missingConfigPath
    /// There is no mirror.
    case missingMirrorTarget
    /// A mirror is named twice.
    case duplicateMirrorTarget(RegistryURL)
    /// A registry is named twice, perhaps with two schemes.
    case duplicateRegistry(RegistryURL)
    /// An existing file is not TOML, or not as containerd wants it. The line counts from 1.
    case malformedFile(path: String, line: Int, reason: String)
    /// The backup is not a folder.
    case backupIsNoFolder(path: String)
    /// Both a finished backup and one that is being moved are there.
    case twoBackups(String, String)
    /// An entry cannot be moved, since another of its name is there.
    case conflict(from: String, to: String)

    /// The error in words.
    public var description: String {
        switch self {
        case .missingConfigPath: "expected the path of containerd's registry configuration folder, found none"
        case .missingMirrorTarget: "expected at least one mirror target, such as http://127.0.0.1:30020, found none"
        case .duplicateMirrorTarget(let url): "the mirror target \(url) is named twice"
        case .duplicateRegistry(let url): "the registry \(url.host) is named twice"
        case .malformedFile(let path, let line, let reason): "\(path), line \(line): \(reason)"
        case .backupIsNoFolder(let path): "\(path) is not a folder; expected the backup of earlier configuration"
        case .twoBackups(let finished, let moving):
            "both \(finished) and \(moving) are there; expected one of them: put together what is to be kept in \(finished)"
        case .conflict(let from, let to):
            "cannot move \(from) to \(to), where something else stands; remove the one that is not needed"
        }
    }
}
