import OCI

/// A failed digest check.
public struct ContentFault: Hashable, Sendable, CustomStringConvertible {
    /// The kinds of faults.
    public enum Kind: Hashable, Sendable {
        /// The bytes have another digest.
        case corrupt(found: Digest)
        /// The store has only this many bytes.
        case cutShort(Int64)
        /// The read failed with an error number.
        case unreadable(Int32)
    }

    /// The kind of the fault.
    public let kind: Kind
    /// The path of the file, or the store that keeps the content.
    public let path: String
    /// The checked state. The fault does not apply to another state.
    public let stamp: ContentStamp

    /// The fault in words.
    public var description: String {
        switch kind {
        case .corrupt(let found): "digest mismatch: \(stamp.size) bytes have the digest \(found)"
        case .cutShort(let end): "truncated: \(end) of \(stamp.size) bytes"
        case .unreadable(let number): "unreadable: \(systemErrorText(number))"
        }
    }
}
