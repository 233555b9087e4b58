import Files

extension MirrorConfiguration {
    /// A file that differs from the configuration.
    public struct FileChange: Hashable, Sendable {
        /// The path in the configuration folder.
        public var name: String
        /// The present content; `nil` for a missing file.
        public var before: [UInt8]?
        /// The new content; `nil` for no file.
        public var after: [UInt8]?
        /// The permission bits of both.
        public var modes: (before: UInt32, after: UInt32)? {
            guard let modeBefore, let modeAfter else { return nil }
            return (modeBefore, modeAfter)
        }

        var modeBefore: UInt32?
        var modeAfter: UInt32?
    }

    /// The changes that ``apply(logger:)`` would make.
    public struct Preview: Hashable, Sendable {
        /// Entries that would be moved into the backup.
        public var backedUp: [String] = []
        /// Files with a new content or mode.
        public var changes: [FileChange] = []

        /// Whether there is any change.
        public var isChange: Bool { !(backedUp.isEmpty && changes.isEmpty) }
    }

    /// The maximum size of a file to show, in bytes. A larger file counts as empty.
    private static let maximumFileSize = 1 << 20
    /// The maximum number of files to read, and their maximum depth.
    private static let maximumFiles = 4096
    private static let maximumDepth = 8

    /// Returns the changes that ``apply(logger:)`` would make, without making them.
    ///
    /// - Throws: the errors of ``apply(logger:)`` before its first change.
    public func preview() throws -> Preview {
        let folders = try validatedFolders()
        let backup = BackupFolder(configPath: registryConfigPath, editor: FolderEditor())
        try backup.validate()
        var wanted: [String: RegistryFolder.File] = [:]
        for folder in folders {
            for file in try folder.files(self, sources: backup.existingFolders) {
                wanted[folder.name + "/" + file.name] = file
            }
        }
        var preview = Preview()
        preview.backedUp = try backup.entriesToMove
        var found: Set<String> = []
        try Self.walk(registryConfigPath, "", found: &found)
        for name in found.union(wanted.keys).sorted() {
            let path = registryConfigPath + "/" + name
            let status = found.contains(name) ? try Files.status(path, followLinks: true) : nil
            let before =
                try status.map { status in
                    status.kind == .file && status.size <= Self.maximumFileSize
                        ? try Files.read(path, limit: Self.maximumFileSize) ?? [] : []
                }
            let file = wanted[name]
            if let status, let file, before == file.content, status.mode == file.mode { continue }
            preview.changes.append(
                FileChange(
                    name: name,
                    before: before,
                    after: file?.content,
                    modeBefore: status?.mode,
                    modeAfter: file?.mode
                )
            )
        }
        return preview
    }

    private static func walk(_ root: String, _ prefix: String, depth: Int = 0, found: inout Set<String>) throws {
        let folder = prefix.isEmpty ? root : root + "/" + prefix
        for entry in try Files.names(in: folder) ?? [] {
            if prefix.isEmpty, entry == BackupFolder.name || entry == BackupFolder.movingName { continue }
            guard found.count < maximumFiles else { return }
            let name = prefix.isEmpty ? entry : prefix + "/" + entry
            if try Files.status(root + "/" + name)?.kind == .folder {
                if depth < maximumDepth { try walk(root, name, depth: depth + 1, found: &found) }
            } else {
                found.insert(name)
            }
        }
    }
}

extension MirrorConfiguration.Preview {
    /// The changes as a diff for `patch -p1`.
    ///
    /// - Parameter isColoured: whether the text is for a terminal.
    public func text(isColoured: Bool) -> String {
        guard isChange else { return "Nothing would change.\n" }
        var text = ""
        if !backedUp.isEmpty { text += "Moved into _backup: \(backedUp.joined(separator: ", "))\n" }
        for change in changes {
            if let modes = change.modes, modes.before != modes.after {
                text += "Mode of \(change.name): \(Self.octal(modes.before)) -> \(Self.octal(modes.after))\n"
            }
            let isText = [change.before, change.after].allSatisfy { String(validating: $0 ?? [], as: UTF8.self) != nil }
            if isText {
                text += UnifiedDiff(change.before, change.after, name: change.name).text(isColoured: isColoured)
            } else if change.before != change.after {
                text += "Binary file \(change.name) would change\n"
            }
        }
        return text
    }

    private static func octal(_ mode: UInt32) -> String { "0" + String(mode, radix: 8) }
}
