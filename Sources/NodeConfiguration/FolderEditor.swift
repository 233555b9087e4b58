import Files

/// The changes that are made to a configuration folder, one step at a time, so that a test can stop before any.
struct FolderEditor: Sendable {
    /// Called before each step; what it throws ends the work there.
    var beforeStep: @Sendable (String) throws -> Void = { _ in }

    /// Makes a folder where it is missing.
    func makeFolder(_ path: String) throws {
        guard try Files.status(path, followLinks: true)?.kind != .folder else { return }
        try beforeStep("make \(path)")
        try Files.makeFolder(path)
    }

    /// Replaces a file.
    func replace(_ path: String, with content: [UInt8], mode: UInt32) throws {
        if let parent = Files.parent(of: path) { try makeFolder(parent) }
        try beforeStep("replace \(path)")
        try Files.replace(path, with: content, mode: mode)
    }

    /// Renames an entry to a name that is free.
    func move(_ old: String, to new: String) throws {
        guard try Files.status(new) == nil else { throw NodeConfigurationError.conflict(from: old, to: new) }
        try beforeStep("move \(old) to \(new)")
        try Files.rename(old, to: new)
    }

    /// Removes an entry with all that is in it.
    func remove(_ path: String) throws {
        try beforeStep("remove \(path)")
        try Files.remove(path)
    }

    /// Makes sure that the steps up to here outlive a loss of power before later ones.
    func flush(_ folder: String) throws {
        try beforeStep("flush \(folder)")
        try Files.flushFolder(folder)
    }
}
