/// The hosts of an existing `hosts.toml`, in file order, which is the order in which containerd asks them.
package struct ExistingHosts {
    /// A host and its settings.
    package struct Host {
        package var name: String
        var settings: TOMLTable
    }

    package private(set) var hosts: [Host] = []
    /// The entries beside the hosts, which are about the registry itself.
    package private(set) var settings = TOMLTable(origin: .header)

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

    /// What containerd takes from a folder without a `hosts.toml`: certificates and keys with Docker's names.
    ///
    /// - Parameter names: the names of the files in the folder.
    init(certificatesIn names: [String]) {
        let authorities = names.filter { $0.hasSuffix(".crt") }
        if !authorities.isEmpty { settings.set("ca", to: .array(authorities.map { .string($0) }), line: 0) }
        let pairs = names.filter { $0.hasSuffix(".cert") }.map { name -> TOMLValue in
            let key = name.dropLast(".cert".count) + ".key"
            return .array([.string(name), .string(names.contains(String(key)) ? String(key) : "")])
        }
        if !pairs.isEmpty { settings.set("client", to: .array(pairs), line: 0) }
    }

    /// Makes the relative paths of certificates and keys true in another folder.
    ///
    /// - Parameter base: the folder where they are true, relative to the other one or absolute.
    mutating func rebase(to base: String) {
        settings = Self.rebased(settings, to: base)
        hosts = hosts.map { Host(name: $0.name, settings: Self.rebased($0.settings, to: base)) }
    }

    private static func rebased(_ table: TOMLTable, to base: String) -> TOMLTable {
        let result = TOMLTable(origin: .header)
        for entry in table.entries {
            let isPath = entry.key == "ca" || entry.key == "client"
            result.set(entry.key, to: isPath ? rebased(entry.value, to: base) : entry.value, line: entry.line)
        }
        return result
    }

    private static func rebased(_ value: TOMLValue, to base: String) -> TOMLValue {
        switch value {
        case .string(let path) where !path.isEmpty && !path.hasPrefix("/"): .string(base + "/" + path)
        case .array(let values): .array(values.map { rebased($0, to: base) })
        default: value
        }
    }

    /// A file without the hosts of these addresses, otherwise as it is, comments included.
    static func text(_ content: [UInt8], without addresses: [String]) -> [UInt8] {
        let excluded = Set(addresses.map(HostAddress.normalised))
        guard !excluded.isEmpty else { return content }
        var lines: [ArraySlice<UInt8>] = []
        var isSkipping = false
        for line in content.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            let start = line.drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
            if start.first == UInt8(ascii: "[") {
                isSkipping = name(ofHostIn: start).map { excluded.contains(HostAddress.normalised($0)) } ?? false
            } else if start.starts(with: "host.".utf8), let name = name(ofHostIn: start),
                excluded.contains(HostAddress.normalised(name))
            {
                continue
            }
            if !isSkipping { lines.append(line) }
        }
        var kept = Array(lines.joined(separator: [UInt8(ascii: "\n")]))
        if content.last == UInt8(ascii: "\n"), kept.last.map({ $0 != UInt8(ascii: "\n") }) ?? false {
            kept.append(UInt8(ascii: "\n"))
        }
        guard (try? TOMLParser.parse(kept)) != nil || (try? TOMLParser.parse(content)) == nil else { return content }
        return kept
    }

    /// The host that a header or a dotted key is about.
    private static func name(ofHostIn line: ArraySlice<UInt8>) -> String? {
        guard let document = try? TOMLParser.parse(Array(line)), case .table(let table)? = document.value("host") else {
            return nil
        }
        return table.entries.first?.key
    }
}
