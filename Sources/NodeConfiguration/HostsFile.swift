/// The text of a `hosts.toml`.
package struct HostsFile {
    private let reader: HostsReader
    private var server: String?
    private var settings: [TOMLTable.Entry] = []
    private var hosts: [ExistingHosts.Host] = []

    /// Creates a file.
    ///
    /// - Parameters:
    ///   - server: the upstream, which is asked last. Without it containerd takes the name in the reference.
    ///   - settings: another file's entries beside its hosts: the registry's own address, certificates and headers.
    package init(server: String?, settings: TOMLTable? = nil, reader: HostsReader = .version2) {
        self.reader = reader
        self.server = settings?.value("server") == nil ? server : nil
        self.settings = settings?.entries ?? []
    }

    /// Adds a host with all its settings.
    package mutating func append(_ host: ExistingHosts.Host) {
        hosts.append(host)
    }

    /// The text. A host follows the hosts that were added before it.
    package var text: String {
        var text = ""
        if let server { text += "server = \(TOMLText.quoted(server))\n" }
        var below: [(key: String, table: TOMLTable)] = []
        for entry in settings {
            if case .table(let table) = entry.value {
                below.append((entry.key, table))
            } else {
                text += "\(TOMLText.key(entry.key)) = \(TOMLText.inline(entry.value))\n"
            }
        }
        let isDotted = reader == .version1 && hosts.contains { $0.name.contains("]") }
        if isDotted { hosts.forEach { append($0, asKeysTo: &text) } }
        for (key, table) in below { append(table, at: [key], to: &text) }
        if !isDotted {
            for host in hosts {
                let name = reader == .any ? HostAddress.withoutBrackets(host.name) : host.name
                append(host.settings, at: ["host", name], to: &text)
            }
        }
        return text
    }

    private func append(_ host: ExistingHosts.Host, asKeysTo text: inout String) {
        let name = "host." + TOMLText.quoted(host.name)
        for entry in host.settings.entries {
            text += "\(name).\(TOMLText.key(entry.key)) = \(TOMLText.inline(entry.value))\n"
        }
        // Without any key the host would not be there. These are all capabilities, as without the key.
        if host.settings.entries.isEmpty { text += "\(name).capabilities = [\"pull\", \"resolve\", \"push\"]\n" }
    }

    private func append(_ table: TOMLTable, at path: [String], to text: inout String) {
        if !text.isEmpty { text += "\n" }
        text += "[\(path.map(TOMLText.key).joined(separator: "."))]\n"
        var below: [(String, TOMLTable)] = []
        for entry in table.entries {
            if case .table(let inner) = entry.value, path.count < TOMLParser.maximumDepth {
                below.append((entry.key, inner))
            } else {
                text += "\(TOMLText.key(entry.key)) = \(TOMLText.inline(entry.value))\n"
            }
        }
        for (key, inner) in below { append(inner, at: path + [key], to: &text) }
    }
}
