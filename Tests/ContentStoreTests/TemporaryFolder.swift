import Files
import Glibc

/// A folder of its own for a test, removed with all that is in it when the last reference goes.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        let base = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        path = base + "/spegel-test-" + String(UInt64.random(in: .min ... .max), radix: 36)
        try Files.makeFolder(path)
    }

    deinit {
        try? Files.remove(path)
    }

    /// Writes a file as a careless program does: in place.
    func write(_ text: String, to name: String) throws {
        guard let file = fopen(path + "/" + name, "w") else {
            throw FileError(operation: "open", path: path + "/" + name, errno: errno)
        }
        fputs(text, file)
        fclose(file)
    }
}

/// How many file descriptors this process has open for which a condition on their target holds.
func openDescriptors(where condition: (String) -> Bool) throws -> Int {
    try (Files.names(in: "/proc/self/fd") ?? []).count { name in
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/fd/" + name, &buffer, buffer.count - 1)
        guard count > 0 else { return false }
        return condition(String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }
}
