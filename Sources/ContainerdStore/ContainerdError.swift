import OCI

/// Why containerd could not be asked.
public enum ContainerdError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The path cannot be that of a Unix socket.
    case invalidSocketPath(String)
    /// There is nothing at the socket's path.
    case socketMissing(path: String)
    /// There is something else than a socket at the path.
    case notASocket(path: String)
    /// This process may not use the socket.
    case permissionDenied(path: String)
    /// There is a socket, and nobody listens on it.
    case notListening(path: String)
    /// Whoever listens on the socket is not containerd.
    case notContainerd(path: String, reason: String)
    /// The connection could not be made, or was lost.
    case unavailable(path: String, reason: String)
    /// No answer came in time.
    case timedOut(operation: String, path: String, after: Duration)
    /// containerd answered a call with an error.
    case refused(operation: String, code: String, message: String)
    /// containerd answered with something that makes no sense.
    case malformedAnswer(operation: String, detail: String)
    /// The content was held when it was opened and is gone now.
    case contentGone(Digest)
    /// The store has been closed.
    case closed

    /// The error in one line, with what to do about it.
    public var description: String {
        switch self {
        case .invalidSocketPath(let path):
            "\"\(path)\" is no path of a Unix socket: it must have 1 to \(ContainerdStore.maximumSocketPathLength) bytes"
        case .socketMissing(let path):
            "there is no containerd socket at \(path): start containerd, or give the path where its socket is"
        case .notASocket(let path):
            "\(path) is not a socket: give the path of containerd's socket"
        case .permissionDenied(let path):
            "permission denied for containerd's socket \(path): run as root or as a member of the socket's group"
        case .notListening(let path):
            "nobody listens on \(path): the socket was left behind, start containerd"
        case .notContainerd(let path, let reason):
            "what listens on \(path) is not containerd (\(reason)): give the path of containerd's socket"
        case .unavailable(let path, let reason):
            "containerd on \(path) cannot be reached (\(reason)): check that it is running and that this is its socket"
        case .timedOut(let operation, let path, let limit):
            "containerd on \(path) did not answer within \(limit) when asked to \(operation): check that it is healthy"
        case .refused(let operation, let code, let message):
            "containerd refused to \(operation): \(message) (\(code))"
        case .malformedAnswer(let operation, let detail):
            "containerd gave a malformed answer when asked to \(operation): \(detail)"
        case .contentGone(let digest):
            "containerd no longer holds \(digest)"
        case .closed:
            "the connection to containerd has been closed here"
        }
    }
}
