/// The text of a `hosts.toml`.
package struct HostsFile {
    package private(set) var text = ""

    /// Creates a file with another file's settings of the registry itself: its address, certificates and headers.
    ///
    /// - Parameters:
    ///   - server: the address, if the other file has none.
    ///   - settings: the other file's entries beside its hosts.
    package init(server: String?, settings: TOMLTable) {
        if settings.value("server") == nil, let server { text += "server = \(TOMLText.quoted(server))\n" }
        append(entriesOf: settings, at: [])
    }

    /// Creates a file.
    ///
    /// - Parameter server: the upstream, which is asked last. Without it containerd takes the name in the reference.
    package init(server: String?) {
        if let server { text += "server = \(TOMLText.quoted(server))\n" }
    }

    /// Adds a mirror.
    ///
    /// - Parameter authorization: the value of the header `Authorization` for it.
    mutating func addMirror(
        _ target: RegistryURL,
        capabilities: [String],
        dialTimeout: Duration?,
        authorization: String? = nil
    ) {
        beginTable(["host", target.description])
        text += "capabilities = \(TOMLText.inline(.array(capabilities.map { .string($0) })))\n"
        if let dialTimeout, dialTimeout > .zero {
            let milliseconds = max(1, dialTimeout / .milliseconds(1))
            text += "dial_timeout = \(TOMLText.quoted("\(Int64(min(milliseconds.rounded(), 1e12)))ms"))\n"
        }
        if let authorization {
            beginTable(["host", target.description, "header"])
            text += "Authorization = \(TOMLText.quoted(authorization))\n"
        }
    }

    /// Adds a host of an existing file with all its settings.
    package mutating func append(_ host: ExistingHosts.Host) {
        append(host.settings, at: ["host", host.name])
    }

    private mutating func append(_ table: TOMLTable, at path: [String]) {
        beginTable(path)
        append(entriesOf: table, at: path)
    }

    private mutating func append(entriesOf table: TOMLTable, at path: [String]) {
        var below: [(String, TOMLTable)] = []
        for entry in table.entries {
            if case .table(let inner) = entry.value, path.count < TOMLParser.maximumDepth {
                below.append((entry.key, inner))
            } else {
                text += "\(TOMLText.key(entry.key)) = \(TOMLText.inline(entry.value))\n"
            }
        }
        for (key, inner) in below { append(inner, at: path + [key]) }
    }

    private mutating func beginTable(_ path: [String]) {
        if !text.isEmpty { text += "\n" }
        text += "[\(path.map(TOMLText.key).joined(separator: "."))]\n"
    }
}
