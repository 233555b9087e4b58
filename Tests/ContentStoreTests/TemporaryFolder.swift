import Files
import Glibc
import TestSupport

extension TemporaryFolder {
    /// Writes a file in place, without a temporary file.
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
