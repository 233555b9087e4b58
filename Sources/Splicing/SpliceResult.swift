import ContentStore

/// The result of a finished transfer.
package struct SpliceResult: Sendable {
    /// Why the transfer ended.
    package let end: SpliceProgress.End
    /// The number of bytes that reached the destination.
    package let delivered: Int64
    /// The hasher that has seen exactly the delivered bytes and all bytes before the transfer. It is `nil` if the
    /// transfer was not verified, or if the hasher has seen bytes that were not delivered.
    package let hasher: DigestHasher?
}
