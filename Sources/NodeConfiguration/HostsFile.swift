/// A `hosts.toml` as it is written.
package struct HostsFile {
    package private(set) var text = ""

    /// Begins a file.
    ///
    /// - Parameter server: the registry itself, which is asked last; without one containerd takes the name in the
    ///   reference.
    package init(server: String?) {
        if let server { text += "server = \(TOMLText.quoted(server))\n" }
    }

    /// Adds a mirror.
    mutating func addMirror(_ target: RegistryURL, capabilities: [String], dialTimeout: Duration?) {
        beginTable(["host", target.description])
        text += "capabilities = \(TOMLText.inline(.array(capabilities.map { .string($0) })))\n"
        if let dialTimeout {
            let milliseconds = max(1, dialTimeout / .milliseconds(1))
            text += "dial_timeout = \(TOMLText.quoted("\(Int64(min(milliseconds.rounded(), 1e12)))ms"))\n"
        }
    }

    /// Adds a host of an existing file with all its settings.
    package mutating func append(_ host: ExistingHosts.Host) {
        append(host.settings, at: ["host", host.name])
    }

    private mutating func append(_ table: TOMLTable, at path: [String]) {
        beginTable(path)
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
