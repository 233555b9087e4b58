import Glibc

/// What the operating system refused to do with a file or folder.
public struct FileError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was tried, as a verb: "open", "rename".
    public let operation: String
    /// The path that it was tried on.
    public let path: String
    /// The operating system's error number.
    public let errno: Int32

    /// Makes an error.
    public init(operation: String, path: String, errno: Int32) {
        self.operation = operation
        self.path = path
        self.errno = errno
    }

    /// The error in words.
    public var description: String {
        // Thread-safe in glibc from 2.32 on; the buffer is the thread's own.
        let reason = strerror(errno).map { String(cString: $0) } ?? "error \(errno)"
        return "cannot \(operation) \(path): \(reason)"
    }
}

extension FileError {
    /// Whether a file has more bytes than were asked for.
    public var isTooLong: Bool { errno == EFBIG }
}
