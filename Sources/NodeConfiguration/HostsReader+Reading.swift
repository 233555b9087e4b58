extension HostsReader {
    /// The hosts that this containerd asks for a `hosts.toml`, in its order, and why it does not read the file as it is
    /// meant.
    ///
    /// - Throws: ``NodeConfigurationError/malformedFile(path:line:reason:)``
    func hosts(_ content: [UInt8], path: String) throws -> (names: [String], problem: String?) {
        let existing = try ExistingHosts(content: content, path: path)
        let names = existing.hosts.map(\.name)
        let headers = Self.headers(content)
        if self != .version2, let name = headers.first(where: { $0.contains("]") }) {
            return ([], "\(path): containerd 1.6 and 1.7 cannot read '\(name)' in brackets, and ignore the file")
        }
        guard self == .version2 else { return (names, nil) }
        if content.starts(with: [0xEF, 0xBB, 0xBF]) {
            return ([], "\(path): containerd 2 cannot read a byte order mark, and ignores the file")
        }
        guard let missing = names.first(where: { !headers.contains($0) }) else { return (names, nil) }
        return (
            names.filter(headers.contains),
            "\(path): containerd 2 does not ask '\(missing)', which has no header [host.\"\(missing)\"]"
        )
    }

    /// The hosts that have a header.
    private static func headers(_ content: [UInt8]) -> [String] {
        content.split(separator: UInt8(ascii: "\n")).compactMap { line in
            let start = line.drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
            guard start.first == UInt8(ascii: "["), let document = try? TOMLParser.parse(Array(start)),
                case .table(let hosts)? = document.value("host")
            else { return nil }
            return hosts.entries.first?.key
        }
    }
}
