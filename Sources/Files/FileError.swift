import Glibc

/// An error that the operating system returned for an operation on a file or folder.
public struct FileError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The operation, as a verb: "open", "rename".
    public let operation: String
    /// The path of the file or folder; for a rename, both paths.
    public let path: String
    /// The operating system's error number.
    public let errno: Int32

    /// Creates an error.
    public init(operation: String, path: String, errno: Int32) {
        self.operation = operation
        self.path = path
        self.errno = errno
    }

    /// The operation, the path and the operating system's reason.
    public var description: String {
        // Thread-safe in glibc from 2.32 on; the buffer is the thread's own.
        let reason = strerror(errno).map { String(cString: $0) } ?? "error \(errno)"
        return "cannot \(operation) \(path): \(reason)"
    }
}

extension FileError {
    /// Whether the file is larger than the limit of the read.
    public var isTooLong: Bool { errno == EFBIG }

    /// Whether both paths of a rename must be in one file system, but are not.
    public var isOfOtherFileSystem: Bool { errno == EXDEV }
}
