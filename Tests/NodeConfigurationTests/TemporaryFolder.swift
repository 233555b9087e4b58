import Files
import Glibc
import TestSupport

extension TemporaryFolder {
    /// Writes a file and creates its parent folders.
    func write(_ text: String, to name: String, mode: UInt32 = 0o644) throws {
        let target = path + "/" + name
        if let parent = Files.parent(of: target) { try Files.makeFolder(parent) }
        try Files.replace(target, with: Array(text.utf8), mode: mode)
    }

    /// The content of a file, or `nil` when it does not exist.
    func read(_ name: String) throws -> String? {
        try Files.read(path + "/" + name, limit: 1 << 20).map { String(decoding: $0, as: UTF8.self) }
    }

    /// All files with their content, by path. Folders end with a slash.
    func tree() throws -> [String: String] {
        var found: [String: String] = [:]
        func walk(_ prefix: String) throws {
            for name in try Files.names(in: path + "/" + prefix) ?? [] {
                let entry = prefix + name
                let kind = try Files.status(path + "/" + entry)?.kind
                if kind == .link {
                    found[entry] = "link"
                } else if kind == .folder {
                    found[entry + "/"] = ""
                    try walk(entry + "/")
                } else {
                    found[entry] = try read(entry) ?? "gone"
                }
            }
        }
        try walk("")
        return found
    }
}
