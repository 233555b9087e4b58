import ContentStore
import Glibc

/// Finds out why a Unix socket is unusable, for errors that say what to do.
enum SocketProbe {
    /// The problem of the socket at a path, or `nil` when a process accepts connections.
    ///
    /// Never blocks. A listener with a full queue counts as accepting.
    static func problem(path: String) -> ContainerdError? {
        var status = stat()
        guard stat(path, &status) == 0 else { return error(errno, path: path) }
        guard status.st_mode & S_IFMT == S_IFSOCK else { return .notASocket(path: path) }
        guard var address = socketAddress(path: path) else { return .invalidSocketPath(path) }

        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = socket(AF_UNIX, type, 0)
        guard descriptor >= 0 else { return error(errno, path: path) }
        defer { close(descriptor) }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        return result == 0 ? nil : error(errno, path: path)
    }

    private static func error(_ number: Int32, path: String) -> ContainerdError? {
        switch number {
        case EAGAIN, EINPROGRESS: nil
        case ENOENT, ENOTDIR: .socketMissing(path: path)
        case EACCES, EPERM: .permissionDenied(path: path)
        case ECONNREFUSED: .notListening(path: path)
        case EPROTOTYPE: .notContainerd(path: path, reason: "a socket of another type")
        default: .unavailable(path: path, reason: systemErrorText(number))
        }
    }

    private static func socketAddress(path: String) -> sockaddr_un? {
        guard ContainerdStore.isValidSocketPath(path) else { return nil }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        return address
    }
}
