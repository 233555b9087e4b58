import OCI

/// An error from a request to containerd.
public enum ContainerdError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The path is not a valid path of a Unix socket.
    case invalidSocketPath(String)
    /// The path does not exist.
    case socketMissing(path: String)
    /// The path is not a socket.
    case notASocket(path: String)
    /// This process is not allowed to use the socket.
    case permissionDenied(path: String)
    /// No process listens on the socket.
    case notListening(path: String)
    /// The process that listens on the socket is not containerd.
    case notContainerd(path: String, reason: String)
    /// The connection failed or was lost.
    case unavailable(path: String, reason: String)
    /// The request timed out.
    case timedOut(operation: String, path: String, after: Duration)
    /// containerd returned an error.
    case refused(operation: String, code: String, message: String)
    /// containerd returned a malformed response.
    case malformedAnswer(operation: String, detail: String)
    /// The content was removed after it was opened.
    case contentGone(Digest)
    /// The store has been closed.
    case closed

    /// One line with the error and what to do about it.
    public var description: String {
        switch self {
        case .invalidSocketPath(let path):
            "expected a socket path of 1 to \(ContainerdStore.maximumSocketPathLength) bytes, got \"\(path)\""
        case .socketMissing(let path):
            "no containerd socket at \(path): start containerd, or give the path of its socket"
        case .notASocket(let path):
            "expected a socket at \(path), found another file: give the path of containerd's socket"
        case .permissionDenied(let path):
            "permission denied for containerd's socket \(path): run as root or as a member of the socket's group"
        case .notListening(let path):
            "no process listens on \(path): start containerd"
        case .notContainerd(let path, let reason):
            "expected containerd on \(path), found another server (\(reason)): give the path of containerd's socket"
        case .unavailable(let path, let reason):
            "containerd on \(path) unreachable (\(reason)): check that it runs and that this is its socket"
        case .timedOut(let operation, let path, let limit):
            "containerd on \(path) timed out after \(limit) (\(operation)): check that it is healthy"
        case .refused(let operation, let code, let message):
            "containerd rejected the request (\(operation)): \(message) (\(code))"
        case .malformedAnswer(let operation, let detail):
            "malformed response from containerd (\(operation)): \(detail)"
        case .contentGone(let digest):
            "containerd no longer has \(digest)"
        case .closed:
            "connection to containerd closed"
        }
    }
}
