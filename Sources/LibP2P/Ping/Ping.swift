import Multiformats
import NIOCore

/// Whether a peer answers, and how fast (libp2p/specs, ping/ping.md).
enum Ping {
    static let protocolID = "/ipfs/ping/1.0.0"
    /// The size of a question and its answer in bytes.
    static let size = 32

    /// Sends back each 32 bytes that come, until the remote side ends the stream or falls silent.
    static func respond(on stream: MuxedStream) async {
        do {
            while let bytes = try await read(from: stream) { try await stream.write(bytes) }
            stream.close()
        } catch {
            stream.reset()
        }
    }

    /// Reads 32 bytes; `nil` at the end of the stream.
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

/// A peer that answers a ping with other bytes than it was sent.
public struct PingMismatch: Error, CustomStringConvertible {
    /// What was expected and what came, for people.
    public var description: String { "ping: expected the bytes that were sent, found others" }
}

extension Host {
    /// Asks a peer for an answer, over a connection or a new one.
    ///
    /// - Parameter peer: The peer, and where to find it if there is no connection.
    /// - Returns: The time from question to answer.
    /// - Throws: ``PingMismatch`` or ``StreamError`` for a wrong or missing answer, or why there is no stream.
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
