import NIOCore

/// An error in the length prefix of a message.
enum MessageLengthError: Error, Equatable, CustomStringConvertible {
    /// The prefix is longer than the nine bytes of a multiformats varint.
    case malformed
    /// The length exceeds the reader's limit.
    case tooLong(length: UInt64, limit: Int)

    var description: String {
        switch self {
        case .malformed:
            "expected an unsigned varint of at most 9 bytes as a length prefix, found a longer one"
        case .tooLong(let length, let limit):
            "expected a message of at most \(limit) bytes, found a length prefix of \(length)"
        }
    }
}

extension ByteBuffer {
    /// Reads one message with a length prefix (an unsigned varint).
    ///
    /// - Parameter maxLength: The maximum length in bytes, without the prefix.
    /// - Returns: The message, or `nil` with an unmoved reader index while it is incomplete.
    mutating func readLengthPrefixed(maxLength: Int) throws(MessageLengthError) -> ByteBuffer? {
        var length: UInt64 = 0
        var prefixSize = 0
        prefix: while true {
            guard let byte = getInteger(at: readerIndex + prefixSize, as: UInt8.self) else { return nil }
            length |= UInt64(byte & 0x7F) << UInt64(7 * prefixSize)
            prefixSize += 1
            if byte & 0x80 == 0 { break prefix }
            guard prefixSize < 9 else { throw .malformed }
        }
        guard length <= UInt64(clamping: maxLength) else { throw .tooLong(length: length, limit: maxLength) }
        guard readableBytes - prefixSize >= Int(length) else { return nil }
        moveReaderIndex(forwardBy: prefixSize)
        return readSlice(length: Int(length))
    }

    /// Writes `value` as an unsigned varint.
    mutating func writeVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            writeInteger(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        writeInteger(UInt8(truncatingIfNeeded: rest))
    }
}
