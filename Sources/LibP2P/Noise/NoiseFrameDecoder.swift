import NIOCore

/// Splits a stream of bytes into frames: a length of two bytes in big-endian order, then that many bytes.
///
/// It keeps the appended bytes that were not taken: less than one frame, if all frames are taken after each
/// ``append(_:)``.
package struct NoiseFrameDecoder: Sendable {
    /// The maximum frame length that the prefix can express.
    package static let maximumFrameLength = Int(UInt16.max)
    private static let lengthSize = 2

    private var buffer = ByteBuffer()

    package init() {}

    /// The number of buffered bytes.
    package var bufferedByteCount: Int { buffer.readableBytes }

    package mutating func append(_ bytes: ByteBuffer) {
        if buffer.readableBytes == 0 {
            // The common case copies nothing.
            buffer = bytes
        } else {
            buffer.discardReadBytes()
            buffer.writeImmutableBuffer(bytes)
        }
    }

    /// The next frame without its length; `nil` while it is incomplete.
    ///
    /// - Throws: ``NoiseError/messageTooLong(limit:actual:)`` as soon as the length is known to exceed `limit`.
    package mutating func next(limit: Int = maximumFrameLength) throws(NoiseError) -> ByteBuffer? {
        guard let length = buffer.getInteger(at: buffer.readerIndex, as: UInt16.self).map(Int.init) else { return nil }
        guard length <= limit else { throw .messageTooLong(limit: limit, actual: length) }
        guard buffer.readableBytes >= Self.lengthSize + length else { return nil }
        buffer.moveReaderIndex(forwardBy: Self.lengthSize)
        return buffer.readSlice(length: length)
    }
}
