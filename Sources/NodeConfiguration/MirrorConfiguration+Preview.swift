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
        /// Entries that would be in the backup for the first time, or in a new form.
        public var backedUp: [String] = []
        /// Files with a new content or mode.
        public var changes: [FileChange] = []

        /// Whether there is any change.
        public var isChange: Bool { !(backedUp.isEmpty && changes.isEmpty) }
    }

    /// Whether a file to write is different for different readers.
    public func dependsOnReader() throws -> Bool {
        guard let path = folderPaths.first else { return false }
        let state = try ConfigurationFolder(path: path, editor: FolderEditor()).state(mirrors: [])
        var other = self
        other.reader = .version2
        return try plan(state).files != other.plan(state).files
    }

    /// Returns the changes that ``apply(logger:)`` would make, without making them.
    ///
    /// - Throws: the errors of ``apply(logger:)`` before its first change.
    public func preview() throws -> Preview {
        try validate()
        guard let path = folderPaths.first else { throw NodeConfigurationError.missingConfigPath }
        let folder = ConfigurationFolder(path: path, editor: FolderEditor())
        try folder.validate()
        let state = try folder.state(mirrors: mirrorTargets.map(\.description))
        let files = try plan(state).files
        var wanted = state.previous.tree.entries
        for (name, file) in files {
            if let parent = Files.parent(of: name), wanted[parent]?.kind == .link { wanted[parent] = nil }
            wanted[name] = file
        }
        var preview = Preview()
        if state.backup == nil {
            preview.backedUp = state.previous.tree.entries.keys.filter { !$0.contains("/") }.sorted()
        } else {
            preview.backedUp = state.previous.takenOver
        }
        let live = state.live.entries
        for name in Set(live.keys).union(wanted.keys).sorted() {
            let (before, after) = (live[name], wanted[name])
            guard [before, after].contains(where: { $0 != nil && $0?.kind != .folder && $0?.kind != .other }) else {
                continue
            }
            if let after, after.isSame(before) { continue }
            preview.changes.append(
                FileChange(
                    name: name,
                    before: before.map { $0.content ?? [] },
                    after: after.map { $0.content ?? [] },
                    modeBefore: before?.mode,
                    modeAfter: after?.mode
                )
            )
        }
        return preview
    }
}

extension MirrorConfiguration.Preview {
    /// The changes as a diff for `patch -p1`.
    ///
    /// - Parameter isColoured: whether the text is for a terminal.
    public func text(isColoured: Bool) -> String {
        guard isChange else { return "Nothing would change.\n" }
        var text = ""
        if !backedUp.isEmpty { text += "Kept in _backup: \(backedUp.joined(separator: ", "))\n" }
        for change in changes {
            if let modes = change.modes, modes.before != modes.after {
                text += "Mode of \(change.name): \(Self.octal(modes.before)) -> \(Self.octal(modes.after))\n"
            }
            let isOwn = change.name == RegistriesConfiguration.fileName
            if isOwn || change.name.hasSuffix("/" + RegistryFolders.hostsFile) {
                text += UnifiedDiff(change.before, change.after, name: change.name).text(isColoured: isColoured)
            } else if change.before != change.after {
                // It may hold a private key.
                let verb = change.after == nil ? "removed" : change.before == nil ? "created" : "changed"
                text += "File \(change.name) would be \(verb)\n"
            }
        }
        return text
    }

    private static func octal(_ mode: UInt32) -> String { "0" + String(mode, radix: 8) }
}
