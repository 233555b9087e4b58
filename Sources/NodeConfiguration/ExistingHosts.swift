import TOMLKit

/// The hosts that an existing `hosts.toml` names, in the order of the file, which is the order in which containerd
/// asks them.
struct ExistingHosts {
    /// A host and its settings.
    struct Host {
        var name: String
        var settings: TOMLTable
    }

    private(set) var hosts: [Host] = []

    /// The most lines of a file whose order of hosts is looked for.
    static let maximumLines = 2000

    /// Reads a file.
    ///
    /// - Parameter path: where it stands, for the error.
    /// - Throws: ``NodeConfigurationError/malformedFile(path:line:reason:)``
    init(content: [UInt8], path: String) throws(NodeConfigurationError) {
        // The parser takes a C string, which ends at a zero.
        let lines = content.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for (number, line) in lines.enumerated() {
            guard !line.contains(0), let _ = String(validating: line, as: UTF8.self) else {
                throw .malformedFile(path: path, line: number + 1, reason: "expected UTF-8 text without zero bytes")
            }
        }
        guard lines.count <= Self.maximumLines else {
            throw .malformedFile(
                path: path,
                line: Self.maximumLines + 1,
                reason: "expected at most \(Self.maximumLines) lines, found \(lines.count)"
            )
        }
        let document: TOMLTable
        do {
            document = try TOMLTable(string: String(decoding: content, as: UTF8.self))
        } catch let error as TOMLParseError {
            throw .malformedFile(path: path, line: error.source.begin.line, reason: error.description)
        } catch {
            throw .malformedFile(path: path, line: 1, reason: "\(error)")
        }
        guard let value = document["host"] else { return }
        guard let table = value.table else {
            throw .malformedFile(path: path, line: 1, reason: "expected host to be a table")
        }
        for name in Self.order(of: table.keys, in: lines) {
            guard let settings = table[name]?.table else {
                throw .malformedFile(path: path, line: 1, reason: "expected the host \(name) to be a table")
            }
            hosts.append(Host(name: name, settings: settings))
        }
    }

    /// The parser keeps tables sorted by name and forgets where they stood. So the file is read up to ever later
    /// lines: a host comes where it is first there. Files are short, and most name one host.
    private static func order(of names: [String], in lines: [ArraySlice<UInt8>]) -> [String] {
        guard names.count > 1 else { return names }
        var found: [String] = []
        var text = ""
        for line in lines {
            text += String(decoding: line, as: UTF8.self) + "\n"
            guard let table = (try? TOMLTable(string: text))?["host"]?.table else { continue }
            for name in table.keys where !found.contains(name) { found.append(name) }
            if found.count == names.count { break }
        }
        return found + names.filter { !found.contains($0) }
    }
}
