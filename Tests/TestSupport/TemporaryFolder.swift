import Files
import Glibc

/// A folder of its own for a test, removed with all that is in it when the last reference goes.
public final class TemporaryFolder: Sendable {
    /// Where it is.
    public let path: String

    /// Makes the folder.
    public init() throws {
        let base = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        path = base + "/spegel-test-" + String(UInt64.random(in: .min ... .max), radix: 36)
        try Files.makeFolder(path)
    }

    deinit {
        try? Files.remove(path)
    }
}
