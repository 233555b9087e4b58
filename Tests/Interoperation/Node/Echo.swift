import LibP2P
import NIOCore

/// Sends back what comes: so that streams carry more than their windows hold, both ways at once.
enum Echo {
    static let protocolID = "/interoperation/echo/1.0.0"
    private static let chunk = 48 * 1024

    /// Answers on one stream until the peer ends it.
    static func serve(_ stream: MuxedStream) async {
        do {
            while let bytes = try await stream.read(upTo: chunk) { try await stream.write(bytes) }
            stream.close()
        } catch {
            stream.reset()
        }
    }

    /// Sends this number of bytes, and reads the same back meanwhile.
    static func check(_ stream: MuxedStream, size: Int) async throws {
        async let sent: Void = send(size, on: stream)
        var position = 0
        while position < size {
            guard let part = try await stream.read(upTo: min(chunk, size - position)) else {
                throw CommandError(description: "expected an echo of \(size) bytes, got \(position)")
            }
            guard part == bytes(at: position, count: part.readableBytes) else {
                throw CommandError(
                    description: "expected an echo of what was sent, got other bytes from \(position) on"
                )
            }
            position += part.readableBytes
        }
        try await sent
    }

    private static func send(_ size: Int, on stream: MuxedStream) async throws {
        for position in stride(from: 0, to: size, by: chunk) {
            try await stream.write(bytes(at: position, count: min(chunk, size - position)))
        }
    }

    /// What stands at a place of the stream: numbers whose order a lost or doubled piece upsets.
    private static func bytes(at position: Int, count: Int) -> ByteBuffer {
        ByteBuffer(bytes: (position..<position + count).map { UInt8($0 % 251) })
    }
}
