import Glibc

/// An exclusive lock on a folder among the programs that take it. It ends with the last reference or with the process.
public final class FolderLock: Sendable {
    private let descriptor: Int32

    /// Waits for the lock.
    ///
    /// - Parameters:
    ///   - path: the folder, which must exist.
    ///   - seconds: how long to wait for another holder; after that the error is `EWOULDBLOCK`.
    public init(_ path: String, seconds: Int = 10) throws(FileError) {
        descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(operation: "open", path: path, errno: errno) }
        var attempts = seconds * 100
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            let number = errno
            guard number == EWOULDBLOCK || number == EINTR, attempts > 0 else {
                throw FileError(operation: "lock", path: path, errno: number)
            }
            attempts -= 1
            usleep(10_000)
        }
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }
}
