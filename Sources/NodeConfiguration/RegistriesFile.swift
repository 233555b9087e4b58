/// The entries of a `registries.conf`, from which podman, CRI-O, skopeo and buildah learn where to pull (the man page
/// containers-registries.conf). Pure.
struct RegistriesFile: Hashable {
    /// A `[[registry]]` table.
    struct Entry: Hashable {
        /// The start of the references that the entry is for; `*.DOMAIN` for a domain and those below it.
        var prefix: String
        /// What replaces the prefix; empty for the reference as it is.
        var location = ""
        var isInsecure = false
        var isBlocked = false
        /// Whether mirrors serve digests only.
        var mirrorsByDigestOnly = false
        /// The mirrors, each as the text of its keys.
        var mirrors: [[String]] = []
    }

    private(set) var entries: [Entry] = []

    init() {}

    /// Parses a file.
    ///
    /// - Parameters:
    ///   - path: the path for errors.
    ///   - isMain: whether it is the main file, which may have the older format, version 1.
    /// - Throws: ``NodeConfigurationError/malformedFile(path:line:reason:)`` for a file that these programs refuse too.
    init(_ content: [UInt8], path: String, isMain: Bool) throws(NodeConfigurationError) {
        let document: TOMLTable
        do {
            document = try TOMLParser.parse(content)
        } catch {
            throw .malformedFile(path: path, line: error.line, reason: error.reason)
        }
        let old = document.entry("registries")
        if let old {
            guard isMain, document.value("registry") == nil else {
                let reason = "expected [[registry]] tables, found the older [registries.…]: containers refuse that here"
                throw .malformedFile(path: path, line: old.line, reason: reason)
            }
            readVersion1(old.value)
        }
        guard let entry = document.entry("registry") else { return }
        let tables: [TOMLTable]
        switch entry.value {
        case .tables(let found): tables = found
        case .array(let values):
            tables = values.compactMap { if case .table(let table) = $0 { table } else { nil } }
        default: throw .malformedFile(path: path, line: entry.line, reason: "expected [[registry]], an array of tables")
        }
        for table in tables { set(try Self.entry(table, path: path, line: entry.line)) }
    }

    /// Adds the entries of a file that is read later: they replace those with the same prefix.
    mutating func update(from other: RegistriesFile) {
        for entry in other.entries { set(entry) }
    }

    /// The entry in force for references that start with a text, the one with the longest prefix; and how much of the text
    /// that covers.
    func match(_ text: String) -> (entry: Entry, length: Int)? {
        var best: (entry: Entry, length: Int)?
        for entry in entries {
            guard let length = Self.matchedLength(entry.prefix, text),
                entry.prefix.utf8.count > (best?.entry.prefix.utf8.count ?? 0)
            else { continue }
            best = (entry, length)
        }
        return best
    }

    private static func matchedLength(_ prefix: String, _ text: String) -> Int? {
        let bytes = Array(text.utf8)
        let end: Int
        if prefix.hasPrefix("*.") {
            let domain = Array(prefix.utf8.dropFirst())
            let host = bytes.prefix { $0 != UInt8(ascii: "/") }
            guard let start = host.indices.first(where: { host[$0...].starts(with: domain) }) else { return nil }
            end = start + domain.count
        } else {
            guard bytes.starts(with: prefix.utf8) else { return nil }
            end = prefix.utf8.count
        }
        guard end == bytes.count || "/:@".utf8.contains(bytes[end]) else { return nil }
        return end
    }

    private mutating func set(_ entry: Entry) {
        if let position = entries.firstIndex(where: { $0.prefix == entry.prefix }) {
            entries[position] = entry
        } else {
            entries.append(entry)
        }
    }

    private static func entry(
        _ table: TOMLTable,
        path: String,
        line: Int
    ) throws(NodeConfigurationError) -> Entry {
        let location = trimmed(string(table, "location"))
        let prefix = trimmed(string(table, "prefix"))
        guard !prefix.isEmpty || !location.isEmpty else {
            throw .malformedFile(path: path, line: line, reason: "expected a prefix or a location in each [[registry]]")
        }
        func malformed(_ reason: String) -> NodeConfigurationError {
            .malformedFile(path: path, line: line, reason: reason + ": containers refuse the file")
        }
        var entry = Entry(prefix: prefix.isEmpty ? location : prefix, location: location)
        entry.isInsecure = bool(table, "insecure")
        entry.isBlocked = bool(table, "blocked")
        entry.mirrorsByDigestOnly = bool(table, "mirror-by-digest-only")
        let mirrors: [TOMLTable] =
            switch table.value("mirror") {
            case .tables(let tables)?: tables
            case .array(let values)?: values.compactMap { if case .table(let table) = $0 { table } else { nil } }
            default: []
            }
        for text in [prefix, location] + mirrors.map({ string($0, "location") }) where text.contains("://") {
            throw malformed("expected a host without a scheme, got '\(text.prefix(64))'")
        }
        if entry.mirrorsByDigestOnly, mirrors.contains(where: { !string($0, "pull-from-mirror").isEmpty }) {
            throw malformed("expected only one of mirror-by-digest-only and pull-from-mirror")
        }
        entry.mirrors = mirrors.map { mirror in
            mirror.entries.map { "\(TOMLText.key($0.key)) = \(TOMLText.inline($0.value))" }
        }
        return entry
    }

    /// `[registries.insecure]` and `[registries.block]`, each with a list `registries`.
    private mutating func readVersion1(_ value: TOMLValue) {
        guard case .table(let lists) = value else { return }
        for name in ["insecure", "block"] {
            guard case .table(let list)? = lists.value(name), case .array(let values)? = list.value("registries") else {
                continue
            }
            for case .string(let text) in values {
                let prefix = Self.trimmed(text)
                var entry = entries.first { $0.prefix == prefix } ?? Entry(prefix: prefix, location: prefix)
                if name == "insecure" { entry.isInsecure = true } else { entry.isBlocked = true }
                set(entry)
            }
        }
    }

    private static func trimmed(_ text: String) -> String {
        var text = text[...]
        while text.hasSuffix("/") { text.removeLast() }
        return String(text)
    }

    private static func string(_ table: TOMLTable, _ key: String) -> String {
        if case .string(let text)? = table.value(key) { text } else { "" }
    }

    private static func bool(_ table: TOMLTable, _ key: String) -> Bool {
        if case .bool(let value)? = table.value(key) { value } else { false }
    }
}
