import NIOCore
import Testing

@testable import LibP2P

@Suite struct NoiseFrameDecoderTests {
    @Test func decodesAnySegmentation() throws {
        var generator = NoiseTestGenerator()
        for _ in 0..<200 {
            let frames = (0..<5).map { _ in generator.bytes(Int.random(in: 0...300, using: &generator)) }
            var stream = ByteBuffer()
            for frame in frames {
                stream.writeInteger(UInt16(frame.count))
                stream.writeBytes(frame)
            }
            var decoder = NoiseFrameDecoder()
            var decoded: [[UInt8]] = []
            while stream.readableBytes > 0 {
                let count = Int.random(in: 1...min(stream.readableBytes, 100), using: &generator)
                let piece = stream.readSlice(length: count)
                decoder.append(try #require(piece))
                while let frame = try decoder.next() { decoded.append(Array(frame.readableBytesView)) }
                #expect(decoder.bufferedByteCount < 302, generator.comment)
            }
            #expect(decoded == frames, generator.comment)
            #expect(decoder.bufferedByteCount == 0)
        }
    }

    @Test func rejectsLongFrameByItsLength() throws {
        var decoder = NoiseFrameDecoder()
        decoder.append(ByteBuffer(bytes: [0x01]))
        let none = try decoder.next(limit: 255)
        #expect(none == nil)
        decoder.append(ByteBuffer(bytes: [0x00]))
        #expect(throws: NoiseError.messageTooLong(limit: 255, actual: 256)) { try decoder.next(limit: 255) }
    }

    @Test func longestFrame() throws {
        var decoder = NoiseFrameDecoder()
        decoder.append(ByteBuffer(bytes: [0xFF, 0xFF]))
        decoder.append(ByteBuffer(repeating: 7, count: 65534))
        let none = try decoder.next()
        #expect(none == nil)
        decoder.append(ByteBuffer(bytes: [8]))
        let frame = try decoder.next()
        #expect(frame?.readableBytes == 65535)
    }
}
