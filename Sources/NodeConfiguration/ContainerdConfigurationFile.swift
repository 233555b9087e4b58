import Files
import Glibc

/// The relevant settings of a containerd's own configuration file.
public struct ContainerdConfigurationFile: Hashable, Sendable {
    /// The paths of the file and of the files that it imports.
    public private(set) var files: [String] = []
    /// The version of the format; 1 by default.
    public private(set) var version = 1
    /// The folders of the registry configuration, `config_path`; `nil` when unset.
    public private(set) var registryConfigPath: String?
    /// Whether the file sets mirrors in the old tables, which exclude `config_path`.
    public private(set) var hasOldMirrors = false
    /// Whether containerd discards layers after unpacking; `nil` when unset.
    public private(set) var discardsUnpackedLayers: Bool?

    /// Whether the CRI plugin pulls by itself instead of through the transfer service of 2.1 and later, which takes a
    /// list of folders for the name of one.
    public private(set) var pullsLocally = false

    /// The settings of a containerd without a file.
    public static let absent = ContainerdConfigurationFile()

    /// The maximum size of a file in bytes.
    private static let maximumSize = 1 << 20
    /// The maximum number of files, including the first.
    private static let maximumFiles = 64

    /// Reads a file and its imports. Returns `nil` when it is missing, unreadable or not TOML.
    ///
    /// - Parameters:
    ///   - path: the path of the file, as containerd sees it.
    ///   - root: a prefix of all paths, such as `/proc/PID/root`.
    public static func read(_ path: String, root: String = "") -> ContainerdConfigurationFile? {
        try? load(path, root: root)
    }

    /// Reads a file and its imports. Throws when the file is unreadable, and ignores unreadable imports.
    ///
    /// - Throws: `FileError` or ``NodeConfigurationError``.
    public static func load(_ path: String, root: String = "") throws -> ContainerdConfigurationFile? {
        var file = ContainerdConfigurationFile()
        var pending = [path]
        var seen: Set<String> = []
        // Later files override earlier ones, and imports override the importing file.
        while !pending.isEmpty, seen.count < maximumFiles {
            let next = pending.removeFirst()
            guard seen.insert(next).inserted else { continue }
            let table: TOMLTable
            do {
                guard let found = try parse(next, root: root) else {
                    guard seen.count > 1 else { return nil }
                    continue
                }
                table = found
            } catch {
                guard seen.count > 1 else { throw error }
                continue
            }
            file.files.append(next)
            pending += file.add(table, folder: Files.parent(of: next) ?? "/", root: root)
        }
        return file
    }

    private static func parse(_ path: String, root: String) throws -> TOMLTable? {
        guard let bytes = try Files.read(root + path, limit: maximumSize) else { return nil }
        do {
            return try TOMLParser.parse(bytes)
        } catch {
            throw NodeConfigurationError.malformedFile(path: path, line: error.line, reason: error.reason)
        }
    }

    /// The configuration file in a running containerd's command line, or the default one.
    public static func path(ofProcess processID: Int32) -> String? {
        guard let bytes = try? Files.read("/proc/\(processID)/cmdline", limit: 1 << 16), !bytes.isEmpty else {
            return nil
        }
        return path(inCommandLine: bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) })
    }

    static func path(inCommandLine words: [String]) -> String {
        for (word, next) in zip(words, words.dropFirst() + [""]) {
            if word == "--config" || word == "-config" || word == "-c" { return next }
            for option in ["--config=", "-config=", "-c="] where word.hasPrefix(option) {
                return String(word.dropFirst(option.count))
            }
        }
        return "/etc/containerd/config.toml"
    }

    /// Adds the settings of a file. Returns the paths of its imports.
    private mutating func add(_ table: TOMLTable, folder: String, root: String) -> [String] {
        var own: Int?
        if case .literal(let text)? = table.value("version"), let number = Int(text) { own = number }
        if let own { version = own }
        if case .table(let plugins)? = table.value("plugins") {
            // Each version has its own table names, and containerd ignores those of others.
            if own ?? 1 == 1 { addOld(plugins.table("cri")) }
            if own ?? 2 <= 2 { addOld(plugins.table("io.containerd.grpc.v1.cri")) }
            if own ?? 3 >= 2, let images = plugins.table("io.containerd.cri.v1.images") {
                add(registry: images.table("registry"))
                add(discarding: images)
                if case .bool(let value)? = images.value("use_local_image_pull") { pullsLocally = value }
            }
        }
        guard case .array(let imports)? = table.value("imports") else { return [] }
        return imports.prefix(Self.maximumFiles).flatMap { value -> [String] in
            guard case .string(let pattern) = value else { return [] }
            return Self.files(pattern.hasPrefix("/") ? pattern : "\(folder)/\(pattern)", root: root)
        }
    }

    private mutating func addOld(_ images: TOMLTable?) {
        add(registry: images?.table("registry"))
        add(discarding: images?.table("containerd"))
    }

    private mutating func add(registry: TOMLTable?) {
        guard let registry else { return }
        if case .string(let path)? = registry.value("config_path") { registryConfigPath = path }
        if registry.table("mirrors") != nil { hasOldMirrors = true }
    }

    private mutating func add(discarding table: TOMLTable?) {
        if case .bool(let value)? = table?.value("discard_unpacked_layers") { discardsUnpackedLayers = value }
    }

    /// The files that match a shell pattern.
    private static func files(_ pattern: String, root: String) -> [String] {
        var found = glob_t()
        defer { globfree(&found) }
        guard glob(root + pattern, 0, nil, &found) == 0 else { return [] }
        return (0..<min(Int(found.gl_pathc), maximumFiles)).compactMap { number in
            found.gl_pathv?[number].map { String(String(cString: $0).dropFirst(root.count)) }
        }
    }
}

extension TOMLTable {
    /// The table under a key.
    fileprivate func table(_ key: String) -> TOMLTable? {
        guard case .table(let table)? = value(key) else { return nil }
        return table
    }
}
