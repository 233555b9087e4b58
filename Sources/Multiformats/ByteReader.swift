/// Reads a byte sequence from front to back, never beyond its end.
struct ByteReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) {
        rest = bytes
    }

    var isAtEnd: Bool { rest.isEmpty }

    var remaining: Int { rest.count }

    mutating func readVarint() throws(MultiformatsError) -> UInt64 {
        let (value, length) = try Varint.decode(rest)
        rest = rest.dropFirst(length)
        return value
    }

    mutating func read(_ count: Int, of what: String) throws(MultiformatsError) -> ArraySlice<UInt8> {
        guard count >= 0, count <= rest.count else { throw .truncated(what: what) }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }

    /// Reads bytes that follow their count, which is 1 to `limit`.
    mutating func readLengthPrefixed(limit: Int, of what: String) throws(MultiformatsError) -> ArraySlice<UInt8> {
        let length = try readVarint()
        guard length >= 1, length <= UInt64(limit) else {
            throw .lengthOutOfBounds(what: what, length: length, limit: limit)
        }
        return try read(Int(length), of: what)
    }
}
