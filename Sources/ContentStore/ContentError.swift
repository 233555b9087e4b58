/// An error from reading content.
public enum ContentError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The content is larger than the limit; both in bytes.
    case tooLarge(Int64, limit: Int)
    /// The content is shorter than its size; both in bytes.
    case truncated(at: Int64, expected: Int64)
    /// A system call failed.
    case system(operation: String, path: String, errno: Int32)

    /// The error in words.
    public var description: String {
        switch self {
        case .tooLarge(let size, let limit): "expected content of at most \(limit) bytes, found \(size)"
        case .truncated(let offset, let expected): "truncated content: \(offset) of \(expected) bytes"
        case .system(let operation, let path, let number):
            "cannot \(operation) \(path): \(systemErrorText(number))"
        }
    }
}
