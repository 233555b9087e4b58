import Files

/// The files of a version that kept no manifest: older ones of this program, and Spegel in Go.
///
/// These versions kept only their own files beside a complete backup. So a file there is theirs unless an administrator
/// has added it since.
enum LegacyFiles {
    /// Whether an entry of a configuration folder was written by such a version.
    static func contains(
        _ path: String,
        _ entry: ConfigurationTree.Entry,
        live: ConfigurationTree,
        backup: ConfigurationTree,
        mirrors: [String]
    ) -> Bool {
        let parts = path.split(separator: "/", maxSplits: 1).map(String.init)
        guard let folder = parts.first else { return false }
        if entry.kind == .folder {
            // Nothing else may be in it.
            return live.entries.allSatisfy { inner, entry in
                !inner.hasPrefix(path + "/") || entry.kind == .folder
                    || contains(inner, entry, live: live, backup: backup, mirrors: mirrors)
            } && backup.entries[path] == nil
        }
        guard entry.kind == .file, let content = entry.content, parts.count == 2, let name = parts.last else {
            return false
        }
        if name == RegistryFolders.hostsFile { return isWritten(content, mirrors: mirrors) }
        // They copied the files beside a kept hosts.toml.
        let sources = [folder] + (RegistryFolders.registry(ofFolder: folder).map(RegistryFolders.names) ?? [])
        return sources.contains { backup.content($0 + "/" + name) == content }
    }

    /// Whether a `hosts.toml` begins with a mirror as these versions wrote it.
    private static func isWritten(_ content: [UInt8], mirrors: [String]) -> Bool {
        guard let existing = try? ExistingHosts(content: content, path: ""), let first = existing.hosts.first else {
            return false
        }
        let name = HostAddress.normalised(first.name)
        if mirrors.contains(where: { HostAddress.normalised($0) == name }) { return true }
        let keys = Set(first.settings.entries.map(\.key))
        guard keys.isSubset(of: ["capabilities", "dial_timeout", "header"]), name.hasPrefix("http://") else {
            return false
        }
        let host = name.dropFirst("http://".count)
        return host.hasPrefix("localhost") || host.allSatisfy { $0.isHexDigit || $0 == "." || $0 == ":" }
    }
}
