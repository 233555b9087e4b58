import Files

/// The list of what this program wrote to a configuration folder, kept beside the backup.
///
/// It is written before the first change with the old and the new digest of each file, and after the last one with the
/// new ones only. So after a crash it still tells which files are this program's: those with one of the digests. Older
/// versions of this program remove the file, so its absence means that one of them may have run.
struct Manifest: Hashable {
    /// The name of the file.
    static let name = "_backup.manifest"
    /// The maximum size of the file in bytes.
    private static let maximumSize = 4 << 20

    /// The URLs of the mirrors.
    var mirrors: [String] = []
    /// The folders that this program created.
    var folders: Set<String> = []
    /// The digests of the written files by path.
    var files: [String: Set<String>] = [:]

    /// Whether a file is what this program wrote.
    func owns(_ path: String, _ entry: ConfigurationTree.Entry) -> Bool {
        guard let digests = files[path], let digest = entry.digest else { return false }
        return digests.contains(digest)
    }

    /// Whether this program wrote a file in a folder.
    func hasFiles(in folder: String) -> Bool {
        files.keys.contains { $0.hasPrefix(folder + "/") }
    }

    /// Both lists.
    func union(_ other: Manifest) -> Manifest {
        Manifest(
            mirrors: mirrors + other.mirrors.filter { !mirrors.contains($0) },
            folders: folders.union(other.folders),
            files: files.merging(other.files) { $0.union($1) }
        )
    }

    /// Reads a manifest; `nil` if it does not exist or is damaged.
    static func read(_ path: String) throws -> Manifest? {
        guard let content = try Files.read(path, limit: maximumSize), let table = try? TOMLParser.parse(content) else {
            return nil
        }
        var manifest = Manifest()
        manifest.mirrors = strings(table.value("mirrors"))
        manifest.folders = Set(strings(table.value("folders")))
        guard case .table(let files)? = table.value("files") else { return manifest }
        for entry in files.entries { manifest.files[entry.key] = Set(strings(entry.value)) }
        return manifest
    }

    /// The file.
    var text: String {
        func list(_ texts: [String]) -> String { TOMLText.inline(.array(texts.map { .string($0) })) }
        var text = """
            # What Spegel wrote to this folder. Do not edit: 'spegel cleanup' reads this file and removes it.
            mirrors = \(list(mirrors))
            folders = \(list(folders.sorted()))

            [files]

            """
        for (path, digests) in files.sorted(by: { $0.key < $1.key }) {
            text += "\(TOMLText.quoted(path)) = \(list(digests.sorted()))\n"
        }
        return text
    }

    private static func strings(_ value: TOMLValue?) -> [String] {
        guard case .array(let values)? = value else { return [] }
        return values.compactMap { value in
            guard case .string(let text) = value else { return nil }
            return text
        }
    }
}
