import Multiformats
import NIOCore

/// A stream of a connection to a peer, with a negotiated protocol.
///
/// A read or write waits at most for its time-out, by default the host's ``HostConfiguration/streamTimeout``, or until
/// its task is cancelled. Dropping the last reference resets the stream, unless its writing side was closed: written
/// bytes are then still sent.
public final class MuxedStream: Sendable {
    /// The id of the peer, as proved in the handshake.
    public let remotePeer: PeerID
    /// The address of the peer.
    public let remoteAddress: Multiaddr
    /// The negotiated protocol.
    public let protocolID: String

    private let eventLoop: any EventLoop
    private let core: NIOLoopBound<StreamCore>
    private let defaultTimeout: Duration

    /// Must be called on the connection's event loop.
    init(core: StreamCore, protocolID: String) {
        remotePeer = core.connection.remotePeer
        remoteAddress = core.connection.remoteAddress
        self.protocolID = protocolID
        eventLoop = core.connection.eventLoop
        defaultTimeout = core.connection.settings.streamTimeout
        self.core = NIOLoopBound(core, eventLoop: core.connection.eventLoop)
    }

    deinit {
        let core = core
        eventLoop.execute { core.value.abandon() }
    }

    /// Reads received bytes, or waits for some.
    ///
    /// - Parameters:
    ///   - limit: The maximum number of bytes, at least 1.
    ///   - timeout: The time-out; by default the host's ``HostConfiguration/streamTimeout``.
    /// - Returns: At least one byte, or `nil` at the end of the stream.
    /// - Throws: ``StreamError``, or `CancellationError`.
    public func read(upTo limit: Int, timeout: Duration? = nil) async throws -> ByteBuffer? {
        try await read(.some(max(1, limit)), timeout: timeout)
    }

    /// Reads a message with a length prefix (an unsigned varint).
    ///
    /// - Parameters:
    ///   - maxLength: The maximum length in bytes, without the prefix.
    ///   - timeout: The time-out; by default the host's ``HostConfiguration/streamTimeout``.
    /// - Returns: The message, or `nil` if the stream ends before it.
    /// - Throws: ``StreamError``, or `CancellationError`.
    public func readMessage(maxLength: Int, timeout: Duration? = nil) async throws -> ByteBuffer? {
        try await read(.message(maxLength), timeout: timeout)
    }

    private func read(_ read: StreamCore.Read, timeout: Duration?) async throws -> ByteBuffer? {
        let waiter = Waiter<ByteBuffer?>()
        let timeout = timeout ?? defaultTimeout
        eventLoop.execute { [core] in core.value.read(read, waiter: waiter, timeout: timeout) }
        return try await waiter.wait()
    }

    /// Writes bytes. Returns when all are in the stream's send queue, which is bounded.
    ///
    /// A time-out or cancellation after a part was queued resets the stream, since the peer could not parse the bytes
    /// after that part.
    ///
    /// - Throws: ``StreamError``, or `CancellationError`.
    public func write(_ bytes: ByteBuffer, timeout: Duration? = nil) async throws {
        let waiter = Waiter<Void>()
        let timeout = timeout ?? defaultTimeout
        eventLoop.execute { [core] in core.value.write(bytes, waiter: waiter, timeout: timeout) }
        do {
            try await waiter.wait()
        } catch let error as CancellationError {
            eventLoop.execute { [core] in core.value.pumpWriters() }
            throw error
        }
    }

    /// Writes a message with a length prefix (an unsigned varint); otherwise like ``write(_:timeout:)``.
    public func writeMessage(_ message: ByteBuffer, timeout: Duration? = nil) async throws {
        try await write(Self.framed(message), timeout: timeout)
    }

    /// Writes a message and reads one as the reply, each with a length prefix, in one visit to the event loop.
    ///
    /// - Parameters:
    ///   - maxLength: The maximum length of the reply in bytes, without the prefix.
    ///   - timeout: The time-out of both together; by default the host's ``HostConfiguration/streamTimeout``.
    /// - Returns: The reply, or `nil` if the stream ends before it.
    /// - Throws: ``StreamError``, or `CancellationError`. The stream cannot be used after that.
    public func exchange(
        _ message: ByteBuffer,
        maxLength: Int,
        timeout: Duration? = nil
    ) async throws -> ByteBuffer? {
        let waiter = Waiter<ByteBuffer?>()
        let timeout = timeout ?? defaultTimeout
        let bytes = Self.framed(message)
        eventLoop.execute { [core] in
            core.value.exchange(bytes, reply: maxLength, waiter: waiter, timeout: timeout)
        }
        return try await waiter.wait()
    }

    private static func framed(_ message: ByteBuffer) -> ByteBuffer {
        var bytes = ByteBuffer()
        bytes.reserveCapacity(message.readableBytes + 9)
        bytes.writeVarint(UInt64(message.readableBytes))
        bytes.writeImmutableBuffer(message)
        return bytes
    }

    /// Ends this side after the written bytes. The peer may continue.
    public func closeWrite() {
        eventLoop.execute { [core] in core.value.closeWrite() }
    }

    /// Ends this side after the written bytes, and drops all further received bytes.
    public func close() {
        eventLoop.execute { [core] in core.value.close() }
    }

    /// Ends both directions at once. Bytes in transit are lost.
    public func reset() {
        eventLoop.execute { [core] in core.value.reset() }
    }
}
