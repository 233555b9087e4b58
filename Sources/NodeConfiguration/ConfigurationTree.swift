import Crypto
import Files

/// The entries of a configuration folder by their paths in it.
struct ConfigurationTree: Hashable {
    /// An entry.
    struct Entry: Hashable {
        var kind: Files.Status.Kind
        var mode: UInt32
        var size: Int64
        var modified: Files.Time?
        /// The content of a file, or of the file that a link points to; `nil` for any other entry, and above the limit.
        var content: [UInt8]?
        /// The target of a link, as it is written there.
        var target: String?

        /// A file that is not on disk yet.
        static func file(_ content: [UInt8], mode: UInt32) -> Entry {
            Entry(kind: .file, mode: mode, size: Int64(content.count), content: content)
        }

        /// The identity of a file's content.
        var digest: String? {
            guard kind == .file, let content else { return nil }
            return Self.digest(content)
        }

        static func digest(_ content: [UInt8]) -> String {
            let digits = Array("0123456789abcdef")
            return "sha256:"
                + SHA256.hash(data: content).reduce(into: "") { text, byte in
                    text.append(digits[Int(byte >> 4)])
                    text.append(digits[Int(byte & 15)])
                }
        }

        /// Whether another entry is the same apart from its time.
        func isSame(_ other: Entry?) -> Bool {
            guard let other, kind == other.kind, target == other.target else { return false }
            switch kind {
            case .link: return true
            case .folder, .other: return mode == other.mode
            case .file:
                guard mode == other.mode, size == other.size, content == other.content else { return false }
                return content != nil || modified == other.modified
            }
        }
    }

    /// The maximum size of a file to read, in bytes. Certificates are far smaller.
    static let maximumFileSize = 1 << 20
    /// The maximum number of entries.
    static let maximumEntries = 8192
    /// The maximum depth of folders.
    static let maximumDepth = 8

    private(set) var entries: [String: Entry] = [:]
    /// The entries of folders that links point to, by their paths through the link.
    private(set) var behindLinks: [String: Entry] = [:]

    /// The entry at a path, also behind a link.
    func entry(_ path: String) -> Entry? {
        entries[path] ?? behindLinks[path]
    }

    /// The content of the file at a path.
    func content(_ path: String) -> [UInt8]? {
        entry(path)?.content
    }

    /// Whether there is a folder, or a link to one.
    func isFolder(_ path: String) -> Bool {
        guard let entry = entries[path] else { return behindLinks[path]?.kind == .folder }
        return entry.kind == .folder || entry.kind == .link && behindLinks[path]?.kind == .folder
    }

    /// The names of the folders in the root.
    var folders: [String] {
        entries.keys.filter { !$0.utf8.contains(UInt8(ascii: "/")) && isFolder($0) }.sorted()
    }

    /// The paths of the files in a folder, in order, relative to it.
    func files(in folder: String) -> [String] {
        let prefix = folder + "/"
        return Set(entries.keys).union(behindLinks.keys).filter { $0.hasPrefix(prefix) && content($0) != nil }
            .map { String($0.dropFirst(prefix.count)) }.sorted()
    }

    mutating func set(_ path: String, to entry: Entry) {
        entries[path] = entry
    }

    /// Adds the entries of folders that links point to, from another tree with these links.
    mutating func addBehindLink(_ path: String, from other: ConfigurationTree) {
        for (name, entry) in other.behindLinks where name == path || name.hasPrefix(path + "/") {
            behindLinks[name] = entry
        }
    }

    /// Reads a folder; `nil` if it does not exist.
    ///
    /// - Parameters:
    ///   - root: the folder.
    ///   - home: the folder where its relative links are true, if that is another one.
    ///   - skipped: names in the root to leave out.
    static func read(_ root: String, home: String? = nil, skipping skipped: Set<String> = []) throws
        -> ConfigurationTree?
    {
        guard let names = try Files.names(in: root) else { return nil }
        var tree = ConfigurationTree()
        for name in names where !skipped.contains(name) {
            try tree.add(name, at: root + "/" + name, home: (home ?? root) + "/" + name, isBehindLink: false, depth: 0)
        }
        return tree
    }

    private mutating func add(
        _ name: String,
        at path: String,
        home: String,
        isBehindLink: Bool,
        depth: Int
    ) throws {
        guard entries.count + behindLinks.count < Self.maximumEntries else {
            throw NodeConfigurationError.tooManyEntries(limit: Self.maximumEntries)
        }
        guard let status = try Files.status(path, followLinks: isBehindLink) else { return }
        var entry = Entry(kind: status.kind, mode: status.mode, size: status.size, modified: status.modified)
        var target = path
        if status.kind == .link {
            entry.target = try Files.linkTarget(path)
            target = try Self.target(of: entry.target, path: path, home: home)
        }
        let behind = status.kind == .link ? try Files.status(target, followLinks: true) : status
        if behind?.kind == .file, (behind?.size ?? 0) <= Self.maximumFileSize {
            entry.content = try Files.read(target, limit: Self.maximumFileSize)
        }
        if isBehindLink { behindLinks[name] = entry } else { entries[name] = entry }
        guard behind?.kind == .folder, depth < Self.maximumDepth else { return }
        if status.kind == .link, let behind {
            behindLinks[name] = Entry(kind: .folder, mode: behind.mode, size: 0, modified: behind.modified)
        }
        for inner in try Files.names(in: target) ?? [] {
            try add(
                name + "/" + inner,
                at: target + "/" + inner,
                home: home + "/" + inner,
                isBehindLink: isBehindLink || status.kind == .link,
                depth: depth + 1
            )
        }
    }

    /// Where a link leads. In a backup a relative target may be beside the backup, not in it.
    private static func target(of text: String?, path: String, home: String) throws -> String {
        guard path != home, let text, !text.hasPrefix("/"), try Files.status(path, followLinks: true) == nil,
            let folder = Files.parent(of: home)
        else { return path }
        return folder + "/" + text
    }
}
