import Files

/// A registry configuration folder of containerd, with the backup of what an administrator configured there.
///
/// | name in the folder | what it is |
/// |---|---|
/// | `_backup` | what the administrator configured, complete. Files that are in use have a second name there |
/// | `_backup.manifest` | what this program wrote (``Manifest``) |
/// | `_backup.staging` | a backup that is not complete yet, or not needed any more |
/// | `_backup.old` | the backup before the present one, until that is in its place |
/// | `_backup.temporary` | a file before it is renamed into its place |
/// | `_backup.moving` | an incomplete backup of an older version, which moved the entries |
///
/// The order of a change makes a crash harmless: first the backup, then the manifest with the old and the new digests,
/// then file after file in its place, at last the manifest with the new digests only. Each file is there in its old or
/// its new form at any time.
struct ConfigurationFolder {
    static let backupName = "_backup"
    static let stagingName = "_backup.staging"
    static let oldName = "_backup.old"
    static let temporaryName = "_backup.temporary"
    static let movingName = "_backup.moving"
    static let ownNames: Set<String> = [
        backupName, stagingName, oldName, temporaryName, movingName, Manifest.name,
    ]

    let path: String
    let editor: FolderEditor

    var backup: String { path + "/" + Self.backupName }
    var staging: String { path + "/" + Self.stagingName }
    var old: String { path + "/" + Self.oldName }
    var moving: String { path + "/" + Self.movingName }
    var manifestPath: String { path + "/" + Manifest.name }
    /// The place of a file before it is renamed.
    var temporary: String { path + "/" + Self.temporaryName + "/file" }

    /// The folder as it is.
    struct State {
        var live: ConfigurationTree
        var backup: ConfigurationTree?
        var manifest: Manifest?
        var previous: PreviousConfiguration
    }

    /// Checks that the backup is in a state that this program leaves.
    func validate() throws {
        for path in [backup, moving] {
            if let status = try Files.status(path), status.kind != .folder {
                throw NodeConfigurationError.backupIsNoFolder(path: path)
            }
        }
        if try Files.status(backup) != nil, try Files.status(moving) != nil {
            throw NodeConfigurationError.twoBackups(backup, moving)
        }
    }

    /// Completes or undoes what a crash left.
    func repair() throws {
        try validate()
        try editor.remove(staging)
        try editor.remove(path + "/" + Self.temporaryName)
        if try Files.status(old) != nil {
            if try Files.status(backup) == nil { try editor.move(old, to: backup) } else { try editor.remove(old) }
        }
        for name in try Files.names(in: moving) ?? [] {
            try editor.move(moving + "/" + name, to: path + "/" + name)
        }
        try editor.removeEmptyFolder(moving)
    }

    /// Reads the folder.
    ///
    /// - Parameter mirrors: the mirrors of this run.
    func state(mirrors: [String]) throws -> State {
        let live = try ConfigurationTree.read(path, skipping: Self.ownNames) ?? ConfigurationTree()
        var saved: ConfigurationTree?
        for place in [backup, old, moving] where saved == nil {
            saved = try ConfigurationTree.read(place, home: path)
        }
        let manifest = try Manifest.read(manifestPath)
        return State(
            live: live,
            backup: saved,
            manifest: manifest,
            previous: PreviousConfiguration(live: live, backup: saved, manifest: manifest, mirrors: mirrors)
        )
    }

    /// Makes the folder what the administrator configured, with these files over it.
    func change(
        _ state: State,
        to files: [String: ConfigurationTree.Entry],
        mirrors: [String]
    ) throws -> MirrorConfiguration.Report {
        var report = MirrorConfiguration.Report()
        report.takenOver = state.previous.takenOver
        try updateBackup(state, report: &report)

        var manifest = Manifest(mirrors: mirrors)
        for (name, file) in files {
            manifest.files[name] = file.digest.map { [$0] }
            var name = name
            while let parent = Files.parent(of: name) {
                if state.previous.tree.entries[parent]?.kind != .folder { manifest.folders.insert(parent) }
                name = parent
            }
        }
        let intended = state.manifest.map { $0.union(manifest) } ?? manifest
        if intended != state.manifest { try write(intended) }
        try write(files, over: state, report: &report)
        // Last, so that a registry that stays mirrored never lacks its file.
        try restoreOthers(state, besides: files, report: &report)
        if manifest != intended { try write(manifest) }
        try editor.remove(path + "/" + Self.temporaryName)
        return report
    }

    /// Removes the backup and the manifest after ``change(_:to:mirrors:)`` to no files.
    func removeBackup() throws {
        let time = try Files.status(backup)?.modified
        try editor.flush(path)
        try editor.remove(manifestPath)
        if try Files.status(backup) != nil {
            try editor.flush(path)
            try editor.move(backup, to: staging)
            try editor.remove(staging)
        }
        if let time { try Files.setTime(path, to: time) }
        try editor.flush(path)
    }

    private func write(_ manifest: Manifest) throws {
        try makeTemporaryFolder()
        try editor.replace(manifestPath, with: Array(manifest.text.utf8), mode: 0o644, by: temporary)
        try editor.flush(path)
    }

    private func makeTemporaryFolder() throws {
        try editor.makeFolder(path + "/" + Self.temporaryName, mode: 0o700)
    }

    // MARK: Backup

    /// Makes the backup what the administrator configured.
    private func updateBackup(_ state: State, report: inout MirrorConfiguration.Report) throws {
        let tree = state.previous.tree
        let present = state.backup?.entries ?? [:]
        let isCurrent =
            tree.entries.allSatisfy { name, entry in
                entry.kind == .other || entry.isSame(present[name]) && entry.modified == present[name]?.modified
            } && present.keys.allSatisfy { tree.entries[$0] != nil }
        if state.backup != nil, isCurrent { return }
        let status = try Files.status(try Files.status(backup) == nil ? path : backup)
        try editor.makeFolder(staging)
        let names = tree.entries.keys.sorted()
        for name in names {
            guard let entry = tree.entries[name] else { continue }
            let place = staging + "/" + name
            switch (entry.kind, state.previous.origins[name]) {
            case (.folder, _): try editor.makeFolder(place, mode: 0o700)
            case (.file, .live), (.link, .live): try duplicate(path + "/" + name, to: place)
            case (.file, .backup), (.link, _): try duplicate(backup + "/" + name, to: place)
            case (.file, _):
                try makeTemporaryFolder()
                try editor.replace(place, with: entry.content ?? [], mode: entry.mode, by: temporary)
            case (.other, _): continue
            }
            if !name.utf8.contains(UInt8(ascii: "/")), present[name] == nil { report.backedUp.append(name) }
        }
        for name in names.reversed() {
            guard let entry = tree.entries[name], entry.kind == .folder else { continue }
            try editor.restoreFolder(staging + "/" + name, to: entry)
            try editor.flush(staging + "/" + name)
        }
        if let status {
            let root = ConfigurationTree.Entry(kind: .folder, mode: status.mode, size: 0, modified: status.modified)
            try editor.restoreFolder(staging, to: root)
        }
        try editor.flush(staging)
        if try Files.status(backup) != nil { try editor.move(backup, to: old) }
        try editor.move(staging, to: backup)
        try editor.flush(path)
        try editor.remove(old)
    }

    private func duplicate(_ source: String, to place: String) throws {
        try makeTemporaryFolder()
        try editor.duplicate(source, to: place, by: temporary)
    }

    // MARK: Live files

    private func write(
        _ files: [String: ConfigurationTree.Entry],
        over state: State,
        report: inout MirrorConfiguration.Report
    ) throws {
        for (name, file) in files.sorted(by: { $0.key < $1.key }) {
            if file.isSame(state.live.entries[name]) {
                report.unchanged.append(name)
                continue
            }
            let place = path + "/" + name
            if let parent = Files.parent(of: name) {
                // A link or a file in the place of the folder is in the backup.
                if let entry = state.live.entries[parent], entry.kind != .folder {
                    try editor.remove(path + "/" + parent)
                }
                try editor.makeFolder(path + "/" + parent, mode: state.previous.tree.folderMode(parent))
            }
            try makeTemporaryFolder()
            try editor.replace(place, with: file.content ?? [], mode: file.mode, by: temporary)
            if let parent = Files.parent(of: place) { try editor.flush(parent) }
            report.written.append(name)
        }
    }

    private func restoreOthers(
        _ state: State,
        besides files: [String: ConfigurationTree.Entry],
        report: inout MirrorConfiguration.Report
    ) throws {
        let tree = state.previous.tree
        let written = files.keys.reduce(into: Set<String>()) { set, name in
            set.insert(name)
            if let parent = Files.parent(of: name) { set.insert(parent) }
        }
        for name in state.live.entries.keys.sorted(by: >) where tree.entries[name] == nil && !written.contains(name) {
            let isFolder = state.live.entries[name]?.kind == .folder
            try isFolder ? editor.removeEmptyFolder(path + "/" + name) : editor.remove(path + "/" + name)
            report.removed.append(name)
        }
        report.removed.sort()
        for name in tree.entries.keys.sorted() where !written.contains(name) {
            guard let entry = tree.entries[name], entry.kind != .other else { continue }
            let present = state.live.entries[name]
            let hasOtherTime = entry.kind != .folder && entry.modified != nil && entry.modified != present?.modified
            guard !entry.isSame(present) || hasOtherTime else { continue }
            switch entry.kind {
            case .folder:
                if let present, present.kind != .folder { try editor.remove(path + "/" + name) }
                try editor.makeFolder(path + "/" + name, mode: entry.mode)
            default: try duplicate(backup + "/" + name, to: path + "/" + name)
            }
            if let parent = Files.parent(of: path + "/" + name) { try editor.flush(parent) }
            report.restored.append(name)
        }
        // What was done in a folder has changed its time.
        for name in tree.entries.keys.sorted(by: >) where !written.contains(name) {
            guard let entry = tree.entries[name], entry.kind == .folder else { continue }
            let place = path + "/" + name
            guard let status = try Files.status(place), status.kind == .folder,
                status.mode != entry.mode || entry.modified != nil && status.modified != entry.modified
            else { continue }
            try editor.restoreFolder(place, to: entry)
        }
    }
}

extension ConfigurationTree {
    /// The mode for a folder in the place of a link to one.
    fileprivate func folderMode(_ path: String) -> UInt32 {
        behindLinks[path]?.mode ?? 0o755
    }
}
