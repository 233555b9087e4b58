/// Why content could not be read.
public enum ContentError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The content is larger than what the caller is ready to read; both in bytes.
    case tooLarge(Int64, limit: Int)
    /// The content ended before the size that it should have; both in bytes.
    case truncated(at: Int64, expected: Int64)
    /// The operating system refused.
    case system(operation: String, path: String, errno: Int32)

    /// The error in words.
    public var description: String {
        switch self {
        case .tooLarge(let size, let limit): "the content has \(size) bytes, at most \(limit) are read"
        case .truncated(let offset, let expected): "the content ends at byte \(offset) of \(expected)"
        case .system(let operation, let path, let number):
            "cannot \(operation) \(path): \(systemErrorText(number))"
        }
    }
}
