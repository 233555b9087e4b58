import Files

/// The single steps of changing a configuration folder, so that a test can stop before any of them.
struct FolderEditor: Sendable {
    /// Called before each step. An error ends the work there.
    var beforeStep: @Sendable (String) throws -> Void = { _ in }

    /// Creates a missing folder.
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

    /// Renames an entry to a free name.
    func move(_ old: String, to new: String) throws {
        guard try Files.status(new) == nil else { throw NodeConfigurationError.conflict(from: old, to: new) }
        try beforeStep("move \(old) to \(new)")
        try Files.rename(old, to: new)
    }

    /// Removes an entry with its content.
    func remove(_ path: String) throws {
        try beforeStep("remove \(path)")
        try Files.remove(path)
    }

    /// Flushes the steps so far, so that they survive a power failure before later ones.
    func flush(_ folder: String) throws {
        try beforeStep("flush \(folder)")
        try Files.flushFolder(folder)
    }
}
