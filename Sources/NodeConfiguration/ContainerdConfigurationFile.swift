import Files
import Glibc

/// What a containerd's own configuration file says of images, as far as this program minds.
public struct ContainerdConfigurationFile: Hashable, Sendable {
    /// The version of the format; 1 where the file does not say.
    public private(set) var version = 1
    /// The folders of the registry configuration, `config_path`; `nil` where the file does not say.
    public private(set) var registryConfigPath: String?
    /// Whether the file sets mirrors by the old tables, which a containerd does not have together with `config_path`.
    public private(set) var hasOldMirrors = false
    /// Whether layers are thrown away once they are unpacked; `nil` where the file does not say.
    public private(set) var discardsUnpackedLayers: Bool?

    /// The most bytes of a file that are read.
    private static let maximumSize = 1 << 20
    /// The most files that are read for one, itself among them.
    private static let maximumFiles = 64

    /// Reads a file and those that it imports, or gives `nil` when it is not there or may not be read.
    ///
    /// - Parameters:
    ///   - path: the path of the file, as containerd sees it.
    ///   - root: what stands before all paths here, such as `/proc/PID/root`.
    public static func read(_ path: String, root: String = "") -> ContainerdConfigurationFile? {
        var file = ContainerdConfigurationFile()
        var pending = [path]
        var seen: Set<String> = []
        // Later files win, and imported ones over the one that imports them.
        while !pending.isEmpty, seen.count < maximumFiles {
            let next = pending.removeFirst()
            guard seen.insert(next).inserted else { continue }
            guard let bytes = try? Files.read(root + next, limit: maximumSize), let table = try? TOMLParser.parse(bytes)
            else {
                guard seen.count > 1 else { return nil }
                continue
            }
            pending += file.add(table, folder: Files.parent(of: next) ?? "/", root: root)
        }
        return file
    }

    /// The file that a running containerd was told to read on its command line; the usual one without such an option.
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

    /// Takes over what a file says, and gives the paths of those that it imports.
    private mutating func add(_ table: TOMLTable, folder: String, root: String) -> [String] {
        if case .literal(let text)? = table.value("version"), let number = Int(text) { version = number }
        if case .table(let plugins)? = table.value("plugins") {
            if let images = plugins.table("io.containerd.grpc.v1.cri") {
                add(registry: images.table("registry"))
                add(discarding: images.table("containerd"))
            }
            if let images = plugins.table("io.containerd.cri.v1.images") {
                add(registry: images.table("registry"))
                add(discarding: images)
            }
        }
        guard case .array(let imports)? = table.value("imports") else { return [] }
        return imports.prefix(Self.maximumFiles).flatMap { value -> [String] in
            guard case .string(let pattern) = value else { return [] }
            return Self.files(pattern.hasPrefix("/") ? pattern : "\(folder)/\(pattern)", root: root)
        }
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
