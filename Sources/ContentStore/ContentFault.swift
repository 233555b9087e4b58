import OCI

/// Content of a store that is not what its digest says.
public struct ContentFault: Hashable, Sendable, CustomStringConvertible {
    /// What is wrong with it.
    public enum Kind: Hashable, Sendable {
        /// Its bytes have another digest.
        case corrupt(found: Digest)
        /// Whoever keeps it has no more than so many bytes of it.
        case cutShort(Int64)
        /// The system cannot read it to its end; the error number is given.
        case unreadable(Int32)
    }

    /// What is wrong with it.
    public let kind: Kind
    /// Where it is: the path of the file, or who keeps it.
    public let path: String
    /// The state that it was in: in another one it may be sound.
    public let stamp: ContentStamp

    /// The fault in words.
    public var description: String {
        switch kind {
        case .corrupt(let found): "its \(stamp.size) bytes have the digest \(found)"
        case .cutShort(let end): "it ends at byte \(end) of \(stamp.size)"
        case .unreadable(let number): "it cannot be read: \(systemErrorText(number))"
        }
    }
}
