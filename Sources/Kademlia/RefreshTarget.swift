/// Makes keys to look up in order to refresh a bucket.
///
/// The place of a key is a hash, so a key for a given bucket can only be found by trying: about 2^(i+1) times for bucket i.
public enum RefreshTarget {
    /// The deepest bucket a key is sought for. The peers of deeper ones are found by looking up the node's own id.
    public static let deepestBucket = 12

    /// A key, in the form of a peer id, that shares exactly `bucket` leading bits with `position`.
    ///
    /// - Returns: nil if the bucket is too deep, or if no key was found within reason.
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
