import Files

/// The single steps of changing a configuration folder, so that a test can stop before any of them.
struct FolderEditor: Sendable {
    /// Called before each step. An error ends the work there.
    var beforeStep: @Sendable (String) throws -> Void = { _ in }

    /// Creates a missing folder and its missing parents.
    func makeFolder(_ path: String, mode: UInt32 = 0o755) throws {
        guard try Files.status(path, followLinks: true)?.kind != .folder else { return }
        try beforeStep("make \(path)")
        try Files.makeFolder(path, mode: mode)
    }

    /// Replaces a file. Until the last step it is in another folder, where a later run finds it after a crash.
    func replace(_ path: String, with content: [UInt8], mode: UInt32, by temporary: String) throws {
        try beforeStep("write \(temporary)")
        try Files.remove(temporary)
        try Files.replace(temporary, with: content, mode: mode)
        try place(temporary, at: path)
    }

    /// Replaces an entry by a second name of a file.
    func duplicate(_ source: String, to path: String, by temporary: String) throws {
        try beforeStep("duplicate \(source)")
        try Files.remove(temporary)
        try Files.duplicate(source, to: temporary, limit: ConfigurationTree.maximumFileSize)
        try place(temporary, at: path)
    }

    private func place(_ temporary: String, at path: String) throws {
        if try Files.status(path)?.kind == .folder { try remove(path) }
        try beforeStep("place \(path)")
        do {
            try Files.rename(temporary, to: path)
        } catch {
            guard error.isOfOtherFileSystem else { throw error }
            // The folder is a mount of its own.
            let content = try Files.read(temporary, limit: ConfigurationTree.maximumFileSize) ?? []
            try Files.replace(path, with: content, mode: try Files.status(temporary)?.mode ?? 0o600)
        }
    }

    /// Renames an entry to a free name.
    func move(_ old: String, to new: String) throws {
        guard try Files.status(new) == nil else { throw NodeConfigurationError.conflict(from: old, to: new) }
        try beforeStep("move \(old) to \(new)")
        try Files.rename(old, to: new)
    }

    /// Removes an entry with its content.
    func remove(_ path: String) throws {
        guard try Files.status(path) != nil else { return }
        try beforeStep("remove \(path)")
        try Files.remove(path)
    }

    /// Removes a folder unless there is something in it.
    func removeEmptyFolder(_ path: String) throws {
        guard try Files.names(in: path)?.isEmpty == true else { return }
        try beforeStep("remove \(path)")
        try Files.removeEmptyFolder(path)
    }

    /// Gives a folder the mode and time that it had.
    func restoreFolder(_ path: String, to entry: ConfigurationTree.Entry) throws {
        try beforeStep("set mode and time of \(path)")
        if try Files.status(path)?.mode != entry.mode { try Files.setMode(path, to: entry.mode) }
        if let modified = entry.modified { try Files.setTime(path, to: modified) }
    }

    /// Flushes the steps so far, so that they survive a power failure before later ones.
    func flush(_ folder: String) throws {
        try beforeStep("flush \(folder)")
        try Files.flushFolder(folder)
    }
}
