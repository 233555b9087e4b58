import Multiformats
import NIOCore

/// The ping protocol (libp2p/specs, ping/ping.md).
enum Ping {
    static let protocolID = "/ipfs/ping/1.0.0"
    /// The size of a request and of its answer in bytes.
    static let size = 32

    /// Returns each 32 bytes until the remote side ends the stream or times out.
    static func respond(on stream: MuxedStream) async {
        do {
            while let bytes = try await read(from: stream) { try await stream.write(bytes) }
            stream.close()
        } catch {
            stream.reset()
        }
    }

    /// Reads 32 bytes. Returns `nil` at the end of the stream.
    static func read(from stream: MuxedStream) async throws -> ByteBuffer? {
        var bytes = ByteBuffer()
        while bytes.readableBytes < size {
            guard let part = try await stream.read(upTo: size - bytes.readableBytes) else {
                guard bytes.readableBytes == 0 else { throw StreamError.unexpectedEnd }
                return nil
            }
            bytes.writeImmutableBuffer(part)
        }
        return bytes
    }
}

/// An error for an answer with other bytes than the request.
public struct PingMismatch: Error, CustomStringConvertible {
    /// What was expected and what was found.
    public var description: String { "ping: expected the sent bytes, found others" }
}

extension Host {
    /// Pings a peer over an existing or a new connection.
    ///
    /// - Parameter peer: The peer, with addresses in case it is not connected.
    /// - Returns: The round-trip time.
    /// - Throws: ``PingMismatch`` or ``StreamError`` for a wrong or missing answer, or the error of the stream's
    ///   opening.
    public func ping(_ peer: PeerInfo) async throws -> Duration {
        let stream = try await openStream(to: peer, protocols: [Ping.protocolID])
        defer { stream.close() }
        var question = ByteBuffer()
        for _ in 0..<Ping.size / 8 { question.writeInteger(UInt64.random(in: .min ... .max)) }
        let start = ContinuousClock.now
        try await stream.write(question)
        guard let answer = try await Ping.read(from: stream) else { throw StreamError.unexpectedEnd }
        guard answer == question else { throw PingMismatch() }
        return ContinuousClock.now - start
    }
}
