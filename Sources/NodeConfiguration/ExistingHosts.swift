/// The hosts of an existing `hosts.toml`, in file order, which is the order in which containerd asks them.
package struct ExistingHosts {
    /// A host and its settings.
    package struct Host {
        package var name: String
        var settings: TOMLTable
    }

    package private(set) var hosts: [Host] = []
    /// The entries beside the hosts, which are about the registry itself.
    package let settings = TOMLTable(origin: .header)

    /// Parses a file.
    ///
    /// - Parameter path: the path for errors.
    /// - Throws: ``NodeConfigurationError/malformedFile(path:line:reason:)``
    package init(content: [UInt8], path: String) throws(NodeConfigurationError) {
        let document: TOMLTable
        do {
            document = try TOMLParser.parse(content)
        } catch {
            throw .malformedFile(path: path, line: error.line, reason: error.reason)
        }
        for entry in document.entries where entry.key != "host" {
            settings.set(entry.key, to: entry.value, line: entry.line)
        }
        guard let entry = document.entry("host") else { return }
        guard case .table(let table) = entry.value else {
            throw .malformedFile(path: path, line: entry.line, reason: "expected host to be a table")
        }
        for entry in table.entries {
            guard case .table(let settings) = entry.value else {
                throw .malformedFile(path: path, line: entry.line, reason: "expected host.'\(entry.key)' to be a table")
            }
            hosts.append(Host(name: entry.key, settings: settings))
        }
    }
}
