/// Finds keys whose lookup refreshes a bucket.
///
/// A key's position is a hash, so a key for bucket i takes about 2^(i+1) tries.
public enum RefreshTarget {
    /// The deepest bucket to find a key for. A lookup of the node's own id finds the peers of deeper ones.
    public static let deepestBucket = 12

    /// A key, in the form of a peer id, that shares exactly `bucket` leading bits with `position`.
    ///
    /// - Returns: `nil` if the bucket is too deep, or after too many tries.
    public static func key(
        inBucket bucket: Int,
        of position: KeySpacePosition,
        using generator: inout some RandomNumberGenerator
    ) -> [UInt8]? {
        guard (0...deepestBucket).contains(bucket) else { return nil }
        // 32 times the expected number of tries: fails once in e^32.
        for _ in 0..<(64 << bucket) {
            let words = KeySpaceWords(generator.next(), generator.next(), generator.next(), generator.next())
            let key: [UInt8] = [0x12, 0x20] + words.bytes
            if KeySpacePosition(hashing: key).commonPrefixLength(with: position) == bucket { return key }
        }
        return nil
    }
}
