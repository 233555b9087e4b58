import Files
import Logging
import OCI

/// Configures podman, CRI-O, skopeo and buildah to ask mirrors before the upstreams, with one file in the folder
/// `registries.conf.d`.
///
/// The files of an administrator are not touched. Since an entry replaces those with the same prefix in files that are
/// read before, the file repeats what is in force for a mirrored registry, after the mirrors.
public struct RegistriesConfiguration: Hashable, Sendable {
    /// The folder where these programs look.
    public static let defaultFolder = "/etc/containers/registries.conf.d"
    /// The name of the file. Programs read the files of the folder in the order of their names.
    public static let fileName = "zz-spegel.conf"
    /// The maximum size of a file to read, in bytes.
    private static let maximumSize = 1 << 20

    /// The folder; created if missing. The main file is beside it.
    public var folder: String
    /// What the mirrors are asked for, as for containerd. These programs have no entry for all other registries.
    public var mirrors: MirrorConfiguration

    /// Creates a configuration. Of the mirrors' settings, the registries, the targets, the tags and whether other mirrors
    /// are kept apply here.
    public init(folder: String, mirrors: MirrorConfiguration) {
        self.folder = folder
        self.mirrors = mirrors
    }

    /// The path of the file.
    public var path: String { Self.path(in: folder) }

    static func path(in folder: String) -> String { folder + "/" + fileName }

    // MARK: Changes

    /// Returns the change that ``apply(logger:)`` would make, without making it.
    ///
    /// - Throws: ``NodeConfigurationError`` for settings that these programs cannot follow, a malformed file, or a file of
    ///   another origin in the place of this program's.
    public func preview() throws -> MirrorConfiguration.Preview {
        MirrorConfiguration.Preview(changes: try plan().change.map { [$0] } ?? [])
    }

    /// Writes the file. A second run changes nothing.
    ///
    /// - Returns: whether there was a change.
    @discardableResult
    public func apply(logger: Logger) throws -> Bool {
        try validate()
        let before = try Files.status(folder, followLinks: true)
        try Files.makeFolder(folder)
        let lock = try FolderLock(folder)
        defer { withExtendedLifetime(lock) {} }
        try Self.removeLeftovers(folder)
        let (change, isEdited) = try plan(isNewFolder: before == nil)
        guard let change else { return false }
        if isEdited { try Self.keepEdited(folder, logger: logger) }
        try Files.replace(path, with: change.after ?? [])
        try Self.finish(folder, time: before?.modified)
        logger.info("wrote the mirrors of registries", metadata: ["path": "\(path)"])
        return true
    }

    /// Removes the file, and the folder if ``apply(logger:)`` created it and nothing else is in it.
    ///
    /// - Returns: whether there was a file of this program.
    @discardableResult
    public static func restore(folder: String, logger: Logger) throws -> Bool {
        guard let before = try Files.status(folder, followLinks: true) else { return false }
        let lock = try FolderLock(folder)
        defer { withExtendedLifetime(lock) {} }
        try removeLeftovers(folder)
        let path = path(in: folder)
        guard let content = try Files.read(path, limit: maximumSize), let file = OwnFile(content) else { return false }
        if file.isEdited { try keepEdited(folder, logger: logger) }
        try Files.remove(path)
        try finish(folder, time: before.modified)
        logger.info("removed the mirrors of registries", metadata: ["path": "\(path)"])
        if file.hasMadeFolder, try Files.names(in: folder)?.isEmpty == true { try Files.removeEmptyFolder(folder) }
        return true
    }

    /// Makes a change last, and gives the folder the time that it had before.
    private static func finish(_ folder: String, time: Files.Time?) throws {
        // Of the folder itself, also where it is a link.
        if let time { try Files.setTime(folder + "/.", to: time) }
        try Files.flushFolder(folder)
    }

    /// Removes what a killed run has left of a file that it was writing.
    private static func removeLeftovers(_ folder: String) throws {
        for name in try Files.names(in: folder) ?? [] where name.hasPrefix(TemporaryFile.prefix) {
            let path = folder + "/" + name
            guard try Files.status(path)?.kind == .file, let content = try Files.read(path, limit: maximumSize),
                OwnFile.isBegun(content)
            else { continue }
            try Files.remove(path)
        }
    }

    /// Keeps a file that was edited under a name that these programs do not read.
    private static func keepEdited(_ folder: String, logger: Logger) throws {
        let path = path(in: folder)
        let kept = path + ".edited"
        try Files.remove(kept)
        try Files.duplicate(path, to: kept, limit: maximumSize)
        logger.warning(
            "kept an edited file of an earlier run: move the edits to another file",
            metadata: ["path": "\(kept)"]
        )
    }

    // MARK: Plan

    /// The change, if there is any, and whether it replaces edits.
    private func plan(isNewFolder: Bool = false) throws -> (change: MirrorConfiguration.FileChange?, isEdited: Bool) {
        try validate()
        let present = try Files.read(path, limit: Self.maximumSize)
        let own = present.flatMap(OwnFile.init)
        if present != nil, own == nil { throw NodeConfigurationError.foreignFile(path) }
        let others = try Self.others(folder)
        let before = others.before
        let hasMadeFolder = try own?.hasMadeFolder ?? (isNewFolder || Files.status(folder, followLinks: true) == nil)
        let text = Array(
            OwnFile(mirrors: mirrors.mirrorTargets.map(\.description), hasMadeFolder: hasMadeFolder)
                .text(try body(before)).utf8
        )
        guard text != present else { return (nil, false) }
        var change = MirrorConfiguration.FileChange(name: Self.fileName, before: present, after: text)
        change.modeAfter = 0o644
        return (change, own?.isEdited ?? false)
    }

    /// The entries of an administrator's files, in the order in which they are read: those before this program's file, and
    /// those after it.
    static func others(_ folder: String) throws -> (before: RegistriesFile, after: RegistriesFile) {
        var (before, after) = (RegistriesFile(), RegistriesFile())
        if let parent = Files.parent(of: folder) {
            let main = parent + "/registries.conf"
            if let content = try Files.read(main, limit: maximumSize) {
                before = try RegistriesFile(content, path: main, isMain: true)
            }
        }
        for name in try (Files.names(in: folder) ?? []).sorted() where name.hasSuffix(".conf") && name != fileName {
            let path = folder + "/" + name
            guard let content = try Files.read(path, limit: maximumSize) else { continue }
            let file = try RegistriesFile(content, path: path, isMain: false)
            if name < fileName { before.update(from: file) } else { after.update(from: file) }
        }
        return (before, after)
    }

    /// The entries of this program's file, as it is.
    static func written(_ folder: String) throws -> (file: RegistriesFile, own: OwnFile)? {
        let path = path(in: folder)
        guard let content = try Files.read(path, limit: maximumSize) else { return nil }
        guard let own = OwnFile(content) else { throw NodeConfigurationError.foreignFile(path) }
        return (try RegistriesFile(content, path: path, isMain: false), own)
    }

    private func validate() throws(NodeConfigurationError) {
        try mirrors.validate()
        guard !mirrors.mirroredRegistries.isEmpty, !mirrors.mirrorsOthers else { throw .registriesNeedNames }
        for target in mirrors.mirrorTargets where target.host.text.hasPrefix("[") {
            throw .addressNotInReferences(target)
        }
        for registry in mirrors.mirroredRegistries where name(of: registry).pathComponent == nil {
            throw .registryNotInPaths(registry)
        }
    }

    /// The name in references. These programs complete short names of Docker Hub to this one.
    private func name(of registry: RegistryURL) -> RegistryName {
        registry.names.first { $0.text == "docker.io" } ?? registry.written
    }

    private func body(_ others: RegistriesFile) throws -> String {
        var tables: [String] = []
        for registry in mirrors.mirroredRegistries {
            let name = name(of: registry)
            guard let component = name.pathComponent else { throw NodeConfigurationError.registryNotInPaths(registry) }
            let nested = others.entries.filter { $0.prefix.hasPrefix(name.text + "/") }
            // A tag or a digest in a prefix cannot follow a mirror's path.
            let prefixes =
                [name.text]
                + nested.map(\.prefix).filter { !$0.dropFirst(name.text.count).contains { ":@".contains($0) } }
            for prefix in prefixes {
                let path = component + prefix.dropFirst(name.text.count)
                if let table = table(prefix, path: path, isPlain: registry.scheme == .http, others) {
                    tables.append(table)
                }
            }
        }
        return tables.joined(separator: "\n")
    }

    /// The `[[registry]]` of a prefix, or `nil` for one that is blocked.
    private func table(_ prefix: String, path: String, isPlain: Bool, _ others: RegistriesFile) -> String? {
        let match = others.match(prefix)
        if match?.entry.isBlocked == true { return nil }
        var location = prefix
        if let match, !match.entry.location.isEmpty {
            location =
                match.entry.location
                + prefix.utf8.dropFirst(match.length).reduce(into: "") { text, byte in
                    text.unicodeScalars.append(Unicode.Scalar(byte))
                }
        }
        let isInsecure = match?.entry.isInsecure ?? false || isPlain && location == prefix
        let isDigestOnly = match?.entry.mirrorsByDigestOnly ?? false
        var lines = ["[[registry]]", "prefix = \(TOMLText.quoted(prefix))", "location = \(TOMLText.quoted(location))"]
        if isInsecure { lines.append("insecure = true") }
        // An administrator's decision. It excludes pull-from-mirror.
        if isDigestOnly { lines.append("mirror-by-digest-only = true") }
        if mirrors.tags == .fresh, mirrors.resolveTags, !isDigestOnly {
            lines += ["", "[[registry.mirror]]", "location = \(TOMLText.quoted(location))"]
            if isInsecure { lines.append("insecure = true") }
            lines.append("pull-from-mirror = \"tag-only\"")
        }
        for target in mirrors.mirrorTargets {
            lines += ["", "[[registry.mirror]]", "location = \(TOMLText.quoted("\(target.host)/\(path)"))"]
            if target.scheme == .http { lines.append("insecure = true") }
            if !mirrors.resolveTags, !isDigestOnly { lines.append("pull-from-mirror = \"digest-only\"") }
        }
        if mirrors.prependExisting {
            for mirror in match?.entry.mirrors ?? [] { lines += ["", "[[registry.mirror]]"] + mirror }
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

/// The head of a file that this program has written, with a digest that shows edits.
struct OwnFile: Hashable {
    private static let title = "# Written by 'spegel configuration', and removed by 'spegel cleanup'."
    private static let advice = "# It is written anew at each run: put what you add into another file."
    private static let folderMark = "# The folder was created with it."
    private static let mirrorsMark = "# Mirrors: "

    /// The mirrors, as URLs.
    var mirrors: [String]
    /// Whether the folder was created with the file.
    var hasMadeFolder: Bool
    /// Whether the file was changed since.
    private(set) var isEdited = false

    init(mirrors: [String], hasMadeFolder: Bool) {
        self.mirrors = mirrors
        self.hasMadeFolder = hasMadeFolder
    }

    /// Reads a file; `nil` if this program has not written it.
    init?(_ content: [UInt8]) {
        let lines = String(decoding: content, as: UTF8.self)
            .split(separator: "\n", maxSplits: 3, omittingEmptySubsequences: false).map(String.init)
        guard lines.count == 4, lines[0] == Self.title else { return nil }
        let head = lines[3].prefix(4096).split(separator: "\n").prefix { $0.hasPrefix("#") }
        mirrors =
            head.first { $0.hasPrefix(Self.mirrorsMark) }
            .map { $0.dropFirst(Self.mirrorsMark.count).split(separator: " ").map(String.init) } ?? []
        hasMadeFolder = head.contains { $0 == Self.folderMark }
        isEdited = lines[2] != Self.seal(lines[3])
    }

    /// Whether a text is the start of such a file, or all of one.
    static func isBegun(_ content: [UInt8]) -> Bool {
        content.starts(with: title.utf8) || Array(title.utf8).starts(with: content)
    }

    /// The file with some tables.
    func text(_ tables: String) -> String {
        var body = Self.mirrorsMark + mirrors.joined(separator: " ") + "\n"
        if hasMadeFolder { body += Self.folderMark + "\n" }
        body += "\n" + tables
        return [Self.title, Self.advice, Self.seal(body), body].joined(separator: "\n")
    }

    private static func seal(_ body: String) -> String {
        "# Digest of what follows: " + ConfigurationTree.Entry.digest(Array(body.utf8))
    }
}
