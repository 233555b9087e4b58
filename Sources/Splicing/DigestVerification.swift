import ContentStore
import OCI

/// A request to hash the bytes of a transfer, and to compare their digest before the last byte leaves.
package struct DigestVerification: Sendable {
    /// The hasher that has seen all bytes of the content before this transfer.
    let hasher: DigestHasher
    /// The digest of the whole content.
    let expected: Digest

    /// A verification against `expected`.
    ///
    /// - Parameter hasher: has seen all bytes of the content before this transfer.
    package init(hasher: DigestHasher, expected: Digest) {
        self.hasher = hasher
        self.expected = expected
    }
}
