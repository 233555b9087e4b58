import Files

/// What stood in a configuration folder before it was written to.
///
/// The backup is moved, not copied, entry by entry, since the folder itself may be a mount point. As long as entries
/// are on their way, in either direction, they lie in `_backup.moving`: then nothing in the configuration folder was
/// written by this program, so that whoever goes on after a crash moves the rest and removes nothing. `_backup` alone
/// means that all is moved, and that whatever lies beside it may be written again.
struct BackupFolder {
    /// The name of the finished backup, the same as the Go implementation's.
    static let name = "_backup"
    /// The name of a backup that is being made or put back.
    static let movingName = "_backup.moving"

    /// The configuration folder.
    let configPath: String
    let editor: FolderEditor

    private var finished: String { configPath + "/" + Self.name }
    private var moving: String { configPath + "/" + Self.movingName }

    /// The folders in which the configuration from before is found.
    var existingFolders: [String] {
        get throws {
            try isThere(finished) ? [finished] : [configPath, moving]
        }
    }

    /// The names of the entries that ``make()`` moves.
    var entriesToMove: [String] {
        get throws { try isThere(finished) ? [] : try entries() }
    }

    /// Checks that the backup is in a state that this program makes.
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

    /// Moves everything into the backup, unless there is one, and gives the names of what was moved.
    ///
    /// The backup is made of an empty folder too: it says that what comes later was not there before.
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

    /// Removes what was written and moves the backup back; gives the names of what was removed and put back.
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

    /// Removes entries beside a finished backup, and gives their names.
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
