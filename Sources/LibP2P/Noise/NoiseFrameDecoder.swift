import NIOCore

/// Cuts a stream of bytes into frames: a length of two bytes, the higher first, then that many bytes.
///
/// It keeps no more than what was appended and not yet taken; whoever takes all frames after each ``append(_:)`` keeps
/// less than one frame.
package struct NoiseFrameDecoder: Sendable {
    /// The longest frame, as far as its length can tell.
    package static let maximumFrameLength = Int(UInt16.max)
    private static let lengthSize = 2

    private var buffer = ByteBuffer()

    package init() {}

    /// The number of bytes that are kept.
    package var bufferedByteCount: Int { buffer.readableBytes }

    package mutating func append(_ bytes: ByteBuffer) {
        if buffer.readableBytes == 0 {
            // The usual case costs no copy.
            buffer = bytes
        } else {
            buffer.discardReadBytes()
            buffer.writeImmutableBuffer(bytes)
        }
    }

    /// The next frame without its length; nil if it has not arrived completely.
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
