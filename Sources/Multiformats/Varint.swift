/// Unsigned variable-length integers: groups of seven bits, the lowest first, at most nine bytes (63 bits), in their
/// shortest form (multiformats/unsigned-varint).
public enum Varint {
    /// The maximum length of a varint in bytes.
    public static let maximumLength = 9

    /// The varint of `value`. A value above 2^63 - 1 takes ten bytes, which ``decode(_:)`` rejects.
    public static func encode(_ value: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        append(value, to: &bytes)
        return bytes
    }

    /// Appends the varint of `value` to `bytes`.
    public static func append(_ value: UInt64, to bytes: inout [UInt8]) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    /// Decodes the varint at the start of `bytes` and ignores the bytes after it.
    ///
    /// - Returns: the value and the length of the varint (1 to 9).
    /// - Throws: ``MultiformatsError/truncated(what:)`` if `bytes` may be the start of a longer varint,
    ///   ``MultiformatsError/varintTooLong`` or ``MultiformatsError/varintNotMinimal`` if it is invalid.
    public static func decode(
        _ bytes: some Sequence<UInt8>
    ) throws(MultiformatsError) -> (value: UInt64, length: Int) {
        var value: UInt64 = 0
        var length = 0
        for byte in bytes {
            guard length < maximumLength else { throw .varintTooLong }
            value |= UInt64(byte & 0x7F) << UInt64(7 * length)
            length += 1
            if byte & 0x80 == 0 {
                guard byte != 0 || length == 1 else { throw .varintNotMinimal }
                return (value, length)
            }
        }
        guard length < maximumLength else { throw .varintTooLong }
        throw .truncated(what: "varint")
    }
}
