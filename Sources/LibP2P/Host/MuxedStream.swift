import Multiformats
import NIOCore

/// One of the many streams of a connection with a peer, its protocol agreed upon.
///
/// Reads and writes wait at most for the time-out that they are given, or the host's
/// ``HostConfiguration/streamTimeout``; cancelling the task ends a wait too. A stream that is no longer
/// referenced is reset, unless its writing side was closed: then what was written still goes out.
public final class MuxedStream: Sendable {
    /// Who is at the other end, as proven by the connection's handshake.
    public let remotePeer: PeerID
    /// Where the other end is.
    public let remoteAddress: Multiaddr
    /// The protocol that both sides agreed upon.
    public let protocolID: String

    private let eventLoop: any EventLoop
    private let core: NIOLoopBound<StreamCore>
    private let defaultTimeout: Duration

    /// To be called on the connection's event loop.
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

    /// Reads what has come, or waits for it.
    ///
    /// - Parameters:
    ///   - limit: The most bytes to return, at least 1.
    ///   - timeout: The longest wait; the host's ``HostConfiguration/streamTimeout`` by default.
    /// - Returns: At least one byte, or `nil` at the end of what the remote side sends.
    /// - Throws: ``StreamError``, or `CancellationError`.
    public func read(upTo limit: Int, timeout: Duration? = nil) async throws -> ByteBuffer? {
        try await read(.some(max(1, limit)), timeout: timeout)
    }

    /// Reads a message that an unsigned varint of its length precedes.
    ///
    /// - Parameters:
    ///   - maxLength: The longest message to accept, in bytes, without its prefix.
    ///   - timeout: The longest wait; the host's ``HostConfiguration/streamTimeout`` by default.
    /// - Returns: The message, or `nil` if the remote side ended before it.
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

    /// Writes bytes; returns when all stand in the stream's send queue, which is bounded.
    ///
    /// A write that ends by time-out or cancellation when a part of it was queued resets the stream, since
    /// the remote side could make nothing of what follows.
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

    /// Writes a message behind an unsigned varint of its length; otherwise like ``write(_:timeout:)``.
    public func writeMessage(_ message: ByteBuffer, timeout: Duration? = nil) async throws {
        var bytes = ByteBuffer()
        bytes.reserveCapacity(message.readableBytes + 9)
        bytes.writeVarint(UInt64(message.readableBytes))
        bytes.writeImmutableBuffer(message)
        try await write(bytes, timeout: timeout)
    }

    /// Ends this side after what was written; the remote side may go on.
    public func closeWrite() {
        eventLoop.execute { [core] in core.value.closeWrite() }
    }

    /// Ends this side after what was written, and drops what still comes.
    public func close() {
        eventLoop.execute { [core] in core.value.close() }
    }

    /// Ends both directions at once; bytes on their way are lost.
    public func reset() {
        eventLoop.execute { [core] in core.value.reset() }
    }
}
