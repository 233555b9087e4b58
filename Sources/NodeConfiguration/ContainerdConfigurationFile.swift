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
    /// Whether the file sets certificates in the old tables, which exclude `config_path` before containerd 2.0.
    public private(set) var hasOldCertificates = false
    /// Whether the file turns the CRI plugin off.
    public private(set) var disablesCRI = false
    /// The snapshotter for pulled images; `nil` when unset.
    public private(set) var snapshotter: String?
    /// Whether the file begins with a byte order mark, with which containerd 2.0 and later do not start.
    public private(set) var hasByteOrderMark = false
    /// Why containerd cannot read one of the imported files, with which it does not start; `nil` if it can.
    public private(set) var importProblem: String?
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

    /// Reads a file and its imports. Throws when the file is unreadable, and notes an unreadable import.
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
            let table: (root: TOMLTable, hasByteOrderMark: Bool)
            do {
                guard let found = try parse(next, root: root) else {
                    guard seen.count > 1 else { return nil }
                    continue
                }
                table = found
            } catch {
                guard seen.count > 1 else { throw error }
                file.importProblem = file.importProblem ?? "\(error)"
                continue
            }
            file.files.append(next)
            if table.hasByteOrderMark { file.hasByteOrderMark = true }
            pending += file.add(table.root, folder: Files.parent(of: next) ?? "/", root: root)
        }
        return file
    }

    private static func parse(_ path: String, root: String) throws -> (root: TOMLTable, hasByteOrderMark: Bool)? {
        guard let bytes = try Files.read(root + path, limit: maximumSize) else { return nil }
        do {
            return (try TOMLParser.parse(bytes), bytes.starts(with: [0xEF, 0xBB, 0xBF]))
        } catch {
            throw NodeConfigurationError.malformedFile(path: path, line: error.line, reason: error.reason)
        }
    }

    /// Takes the settings of `containerd config dump`, which are those in force, defaults and imports included.
    ///
    /// - Returns: `false` if the text is no such dump.
    public mutating func take(dump: [UInt8]) -> Bool {
        guard let table = try? TOMLParser.parse(dump), table.value("plugins") != nil || table.value("version") != nil
        else { return false }
        var settings = ContainerdConfigurationFile()
        _ = settings.add(table, folder: "/", root: "")
        settings.files = files
        settings.version = version
        settings.hasByteOrderMark = hasByteOrderMark
        settings.importProblem = importProblem
        // A dump has the older tables of the CRI plugin as well, unless the plugin is turned off.
        settings.disablesCRI = settings.disablesCRI || disablesCRI
        self = settings
        return true
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
        // A file without a version is of version 1; an imported one is read like the file that imports it.
        let isMain = files.count < 2
        if let own { version = own }
        let known = own ?? (isMain ? 1 : version)
        if case .array(let disabled)? = table.value("disabled_plugins") {
            disablesCRI = disabled.contains { value in
                guard case .string(let name) = value else { return false }
                return ["cri", "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images"].contains(name)
            }
        }
        if case .table(let plugins)? = table.value("plugins") {
            // Each version has its own table names, and containerd ignores those of others.
            if known == 1 { addOld(plugins.table("cri")) }
            if known == 2 || own == nil && !isMain { addOld(plugins.table("io.containerd.grpc.v1.cri")) }
            if known >= 2, let images = plugins.table("io.containerd.cri.v1.images") {
                add(registry: images.table("registry"))
                add(discarding: images)
                if case .string(let name)? = images.value("snapshotter") { snapshotter = name }
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
        if case .string(let name)? = images?.table("containerd")?.value("snapshotter") { snapshotter = name }
    }

    private mutating func add(registry: TOMLTable?) {
        guard let registry else { return }
        if case .string(let path)? = registry.value("config_path") { registryConfigPath = path }
        // containerd's own default has empty tables.
        if registry.table("mirrors")?.entries.isEmpty == false { hasOldMirrors = true }
        for entry in registry.table("configs")?.entries ?? [] {
            if case .table(let settings) = entry.value, settings.value("tls") != nil { hasOldCertificates = true }
        }
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
