import OCI

/// A file of a content store that is not what its digest says.
public struct ContentFault: Hashable, Sendable, CustomStringConvertible {
    /// What is wrong with it.
    public enum Kind: Hashable, Sendable {
        /// Its bytes have another digest.
        case corrupt(found: Digest)
        /// The system cannot read it to its end; the error number is given.
        case unreadable(Int32)
    }

    /// What is wrong with the file.
    public let kind: Kind
    /// Where it is.
    public let path: String
    /// The state that it was in: in another one it may be sound.
    public let stamp: FileStamp

    /// The fault in words.
    public var description: String {
        switch kind {
        case .corrupt(let found): "its \(stamp.size) bytes have the digest \(found)"
        case .unreadable(let number): "it cannot be read: \(systemErrorText(number))"
        }
    }
}
