import Files

/// The backup of the entries that a configuration folder had before this program wrote to it.
///
/// Entries are moved, not copied, one by one, since the folder itself may be a mount point. During a move in either
/// direction they are in `_backup.moving`. The configuration folder then has nothing of this program, so that a run
/// after a crash moves the rest and removes nothing. `_backup` alone means that the move is complete, and that
/// everything beside it may be overwritten.
struct BackupFolder {
    /// The name of a complete backup, the same as in the Go implementation.
    static let name = "_backup"
    /// The name of an incomplete backup.
    static let movingName = "_backup.moving"

    /// The configuration folder.
    let configPath: String
    let editor: FolderEditor

    private var finished: String { configPath + "/" + Self.name }
    private var moving: String { configPath + "/" + Self.movingName }

    /// The folders with the previous configuration.
    var existingFolders: [String] {
        get throws {
            try isThere(finished) ? [finished] : [configPath, moving]
        }
    }

    /// The names of the entries that ``make()`` moves.
    var entriesToMove: [String] {
        get throws { try isThere(finished) ? [] : try entries() }
    }

    /// Checks that the backup is in a state that this program creates.
    func validate() throws {
        for path in [finished, moving] {
            if let status = try Files.status(path), status.kind != .folder {
                throw NodeConfigurationError.backupIsNoFolder(path: path)
            }
        }
        if try isThere(finished), try isThere(moving) {
            throw NodeConfigurationError.twoBackups(finished, moving)
        }
    }

    /// Moves all entries into the backup, unless there is one. Returns their names.
    ///
    /// An empty folder gets a backup, too: it marks all later entries as new.
    func make() throws -> [String] {
        if try isThere(finished) { return [] }
        try editor.makeFolder(moving)
        var moved: [String] = []
        for name in try entries() {
            try editor.move(configPath + "/" + name, to: moving + "/" + name)
            moved.append(name)
        }
        try editor.flush(moving)
        try editor.flush(configPath)
        try editor.move(moving, to: finished)
        try editor.flush(configPath)
        return moved
    }

    /// Removes the written entries and moves the backup back. Returns the names of both.
    func restore() throws -> (removed: [String], restored: [String]) {
        var removed: [String] = []
        if try isThere(finished) {
            removed = try removeEntries { _ in true }
            try editor.flush(configPath)
            try editor.move(finished, to: moving)
            try editor.flush(configPath)
        }
        guard let names = try Files.names(in: moving) else { return (removed, []) }
        for name in names {
            try editor.move(moving + "/" + name, to: configPath + "/" + name)
        }
        try editor.flush(configPath)
        try editor.remove(moving)
        return (removed, names)
    }

    /// Removes entries beside a complete backup. Returns their names.
    func removeEntries(where condition: (String) -> Bool) throws -> [String] {
        let names = try entries().filter(condition)
        for name in names { try editor.remove(configPath + "/" + name) }
        return names
    }

    private func entries() throws -> [String] {
        (try Files.names(in: configPath) ?? []).filter { $0 != Self.name && $0 != Self.movingName }
    }

    private func isThere(_ path: String) throws -> Bool {
        try Files.status(path) != nil
    }
}
