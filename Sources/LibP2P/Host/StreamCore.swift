import Listening
import NIOCore

/// The state of a stream on its event loop: the received bytes, and the waiting reader and writers.
///
/// ``MuxedStream`` is its interface for the rest of the program.
final class StreamCore {
    /// The kind of a read.
    enum Read {
        /// At most this many bytes.
        case some(Int)
        /// A message with a length prefix, at most this long.
        case message(Int)
    }

    /// The negotiation of a stream's protocol.
    enum Negotiation {
        case outbound(MultistreamDialer, Waiter<MuxedStream>)
        case inbound(MultistreamListener)
    }

    let id: UInt32
    let connection: YamuxHandler
    var negotiation: Negotiation?
    /// The deadline of the negotiation, or of the remote side's end after a close.
    var timer: Scheduled<Void>?
    /// The reason why the stream, or this side of it, is unusable.
    private(set) var failure: StreamError?

    private var inbound = ByteBuffer()
    /// The number of bytes in ``inbound`` that were granted again already, for a message larger than the window.
    private var granted = 0
    /// The number of bytes in ``inbound`` that the connection has counted.
    private var accounted = 0
    /// Whether the stream holds an inbound slot.
    private var holdsPlace: Bool
    private var isInboundFinished = false
    private var reader: (read: Read, waiter: Waiter<ByteBuffer?>, timeout: Duration)?
    /// The time-out of the reader.
    private let readTimer: LazyTimer
    private var writers = CircularBuffer<
        (bytes: ByteBuffer, isBegun: Bool, waiter: Waiter<Void>, timer: Scheduled<Void>)
    >()
    private var isWriteClosed = false
    private var isReadClosed = false

    init(id: UInt32, connection: YamuxHandler, negotiation: Negotiation) {
        self.id = id
        self.connection = connection
        self.negotiation = negotiation
        readTimer = LazyTimer(eventLoop: connection.eventLoop)
        holdsPlace = if case .inbound = negotiation { true } else { false }
    }

    /// Releases the inbound slot. Called when the stream ends for the connection.
    func releasePlace() {
        guard holdsPlace else { return }
        holdsPlace = false
        connection.resources.releaseInboundStream()
    }

    /// Updates the connection's count of unread bytes.
    private func account() {
        let difference = inbound.readableBytes - accounted
        guard difference != 0 else { return }
        accounted = inbound.readableBytes
        connection.addUnread(difference)
    }

    // MARK: From the connection

    func receive(_ bytes: ByteBuffer) {
        guard failure == nil, !isReadClosed else { return }
        guard connection.hasRoom(for: bytes.readableBytes) else {
            connection.resources.count { $0.streamsOverMemory += 1 }
            return reset()
        }
        // A copy: a slice of a few bytes would keep the whole decrypted buffer in memory.
        inbound.writeImmutableBuffer(bytes)
        serveReader()
        account()
    }

    func receiveEnd() {
        isInboundFinished = true
        serveReader()
    }

    /// Fails the stream. Bytes received before stay readable, except after a reset.
    func fail(_ error: StreamError) {
        guard failure == nil else { return }
        failure = error
        releasePlace()
        timer?.cancel()
        timer = nil
        if error == .reset { inbound = ByteBuffer() }
        account()
        if case .outbound(_, let waiter) = negotiation { waiter.resume(.failure(error)) }
        negotiation = nil
        serveReader()
        readTimer.stop()
        for writer in writers {
            writer.timer.cancel()
            writer.waiter.resume(.failure(error))
        }
        writers.removeAll()
    }

    /// Records the orderly end of both directions. Received bytes stay readable.
    func ended() {
        releasePlace()
        timer?.cancel()
        timer = nil
        // No read waits any more.
        readTimer.stop()
        isWriteClosed = true
    }

    /// Passes the bytes of waiting writers to the session as far as it has room. Sends them only after all state is
    /// updated, since sending may make room and re-enter this method.
    func pumpWriters() {
        while let writer = writers.first {
            if writer.waiter.isResumed {
                writers.removeFirst()
                writer.timer.cancel()
                // The part that was sent cannot be revoked, and the rest will not follow.
                if writer.isBegun { return reset() }
                continue
            }
            var rest = writer.bytes
            guard let isTaken = connection.send(&rest, on: id) else { return fail(.closed) }
            guard isTaken else {
                writers[writers.startIndex].isBegun = writer.isBegun || rest.readableBytes < writer.bytes.readableBytes
                writers[writers.startIndex].bytes = rest
                return connection.pump()
            }
            writers.removeFirst()
            writer.timer.cancel()
            writer.waiter.resume(.success(()))
        }
        if isWriteClosed { connection.finish(id) } else { connection.pump() }
    }

    // MARK: From the program

    func read(_ read: Read, waiter: Waiter<ByteBuffer?>, timeout: Duration) {
        if let reader {
            guard reader.waiter.isResumed else {
                waiter.resume(.failure(StreamError.concurrentRead))
                return
            }
        }
        reader = (read, waiter, timeout)
        serveReader()
        if reader != nil {
            if readTimer.onDeadline == nil { readTimer.onDeadline = { [weak self] in self?.readTimedOut() } }
            readTimer.deadline = .now() + TimeAmount(timeout)
        }
        account()
    }

    private func readTimedOut() {
        guard let reader else { return }
        reader.waiter.resume(.failure(StreamError.timeout(reader.timeout)))
    }

    /// Sends a message, and reads one as the reply.
    func exchange(_ bytes: ByteBuffer, reply limit: Int, waiter: Waiter<ByteBuffer?>, timeout: Duration) {
        // A failure to write fails the read as well, or leaves it without a reply until its time-out.
        write(bytes, waiter: Waiter(), timeout: timeout)
        read(.message(limit), waiter: waiter, timeout: timeout)
    }

    func write(_ bytes: ByteBuffer, waiter: Waiter<Void>, timeout: Duration) {
        if let error = failure ?? (isWriteClosed ? .closed : nil)
            ?? (connection.resources.isOverMemory ? .overMemory : nil)
        {
            waiter.resume(.failure(error))
            return
        }
        var rest = bytes
        if writers.isEmpty, !waiter.isResumed {
            guard let isTaken = connection.send(&rest, on: id) else {
                waiter.resume(.failure(StreamError.closed))
                return fail(.closed)
            }
            if isTaken {
                waiter.resume(.success(()))
                return connection.pump()
            }
        }
        let loopBound = NIOLoopBound(self, eventLoop: connection.eventLoop)
        let timer = connection.eventLoop.scheduleTask(in: TimeAmount(timeout)) {
            if waiter.resume(.failure(StreamError.timeout(timeout))) { loopBound.value.pumpWriters() }
        }
        writers.append((rest, rest.readableBytes < bytes.readableBytes, waiter, timer))
        pumpWriters()
    }

    func closeWrite() {
        guard failure == nil, !isWriteClosed else { return }
        isWriteClosed = true
        pumpWriters()
    }

    /// Ends this side, drops all further bytes, and waits for the remote side's end at most for the linger time.
    func close() {
        guard failure == nil else { return }
        closeWrite()
        guard !isReadClosed, failure == nil else { return }
        isReadClosed = true
        grant(inbound.readableBytes)
        inbound = ByteBuffer()
        account()
        connection.stopReading(id)
        if let reader { reader.waiter.resume(.failure(StreamError.closed)) }
        guard connection.isOpen(id) else { return }
        let loopBound = NIOLoopBound(self, eventLoop: connection.eventLoop)
        timer = connection.eventLoop.scheduleTask(in: TimeAmount(connection.settings.streamLinger)) {
            loopBound.value.reset()
        }
    }

    func reset() {
        guard failure == nil else { return }
        connection.reset(id)
        fail(.reset)
    }

    /// Handles the loss of the last reference. Written bytes of an orderly end are still sent.
    func abandon() {
        if isWriteClosed { close() } else { reset() }
    }

    // MARK: Reading

    /// Resumes the reader if its read can complete.
    private func serveReader() {
        guard let (read, waiter, _) = reader, !waiter.isResumed else { return }
        let saved = inbound
        let result: Result<ByteBuffer?, any Error>
        do {
            guard let outcome = try take(read) else { return }
            result = .success(outcome)
        } catch {
            result = .failure(error)
        }
        reader = nil
        readTimer.deadline = nil
        if !waiter.resume(result), case .success(.some) = result {
            // The reader was cancelled just now: the next one gets the bytes.
            granted += saved.readableBytes - inbound.readableBytes
            inbound = saved
        }
    }

    /// The result of a read now, `nil` at the end of the stream. An outer `nil` means that the read must wait.
    private func take(_ read: Read) throws -> ByteBuffer?? {
        if isReadClosed { throw StreamError.closed }
        let before = inbound.readableBytes
        switch read {
        case .some(let limit) where before > 0:
            let bytes: ByteBuffer
            if before <= limit {
                bytes = inbound
                inbound = ByteBuffer()
            } else {
                bytes = ByteBuffer(bytes: inbound.readableBytesView.prefix(limit))
                inbound.moveReaderIndex(forwardBy: bytes.readableBytes)
            }
            grant(bytes.readableBytes)
            return .some(bytes)
        case .some:
            break
        case .message(let limit):
            do {
                if let message = try inbound.readLengthPrefixed(maxLength: limit) {
                    let taken = before - inbound.readableBytes
                    let copy = inbound.readableBytes == 0 ? message : ByteBuffer(bytes: message.readableBytesView)
                    if inbound.readableBytes == 0 { inbound = ByteBuffer() }
                    grant(taken)
                    return .some(copy)
                }
            } catch {
                throw StreamError.invalidMessage(reason: error.description)
            }
            if isInboundFinished, before > 0 { throw StreamError.unexpectedEnd }
        }
        if isInboundFinished { return .some(nil) }
        if let failure { throw failure }
        if case .message = read {
            // The message may be larger than the window, so its reader's limit applies instead.
            connection.consume(before - granted, of: id)
            granted = before
        }
        return nil
    }

    /// Grants the remote side the window of `count` taken bytes, unless it was granted before.
    private func grant(_ count: Int) {
        let ahead = min(granted, count)
        granted -= ahead
        connection.consume(count - ahead, of: id)
    }
}
