import NIOCore
import Time

/// Multiplexes streams over one connection: `/yamux/1.0.0` (hashicorp yamux spec.md, libp2p/specs yamux/README.md).
///
/// A pure state machine. Bytes from the connection go into ``receive(_:)``. After every call, ``nextEvent()`` returns
/// the resulting events until it returns `nil`. ``nextOutbound(maxBytes:)`` returns bytes for the connection; it is
/// called only while the connection is writable. So back-pressure reaches each stream's queue, and a frame is built
/// only when it can be sent.
///
/// Streams with something to send take turns of one frame.
package struct YamuxSession {
    /// The role of this side, which decides whose stream ids are odd.
    package enum Role: Equatable {
        case dialer
        case listener
    }

    /// An event for the driver.
    package enum Event: Equatable {
        /// The remote side opened a stream.
        case opened(UInt32)
        /// Received bytes. They count against the window until ``YamuxSession/consume(_:of:)``.
        case data(UInt32, ByteBuffer)
        /// The remote side ended its direction of a stream.
        case finished(UInt32)
        /// The remote side reset a stream, which no longer exists.
        case reset(UInt32)
        /// A stream with a full queue has room again.
        case writable(UInt32)
        /// Both directions of a stream ended; it no longer exists.
        case closed(UInt32)
        /// The answer to a ping.
        case pong(UInt32)
        /// The remote side sent a go-away: no more streams can be opened, the open ones may end.
        case goingAway(YamuxGoAwayReason)
        /// The session has failed. A go-away is queued; after sending it the driver must close the connection.
        case failed(YamuxError)
    }

    let role: Role
    let configuration: YamuxConfiguration

    var streams: [UInt32: YamuxStream] = [:]
    /// The streams with a frame to send, in the order of their turns.
    var round = CircularBuffer<UInt32>()
    /// Frames of the session itself and resets; they are sent first.
    var controlFrames = CircularBuffer<YamuxFrameHeader>()
    var events = CircularBuffer<Event>()
    var inboundCount = 0
    /// The number of refused streams since the last accepted one.
    var refusedInARow = 0
    /// The number of refused streams.
    var refusedCount = 0
    /// The number of queued bytes of all streams.
    var queuedBytes = 0
    /// Whether ``YamuxConfiguration/maxQueuedBytes`` has stopped a writer.
    var isQueueFull = false
    /// The growth of the windows of all open streams in bytes.
    var windowGrowth = 0
    /// The round-trip time of a ping, if the driver knows it. Without it windows do not grow.
    var roundTripTime: Duration?
    var unacknowledgedCount = 0
    var hasSentGoAway = false
    var hasReceivedGoAway = false
    var failure: YamuxError?

    /// An incomplete frame header.
    var input = ByteBuffer()
    /// The data frame that is being received.
    var body: Body?

    private var nextStreamID: UInt32
    private var nextPing: UInt32 = 0

    /// The remainder of a data frame.
    struct Body {
        /// `nil` when the bytes belong to no open stream and are dropped.
        var streamID: UInt32?
        var remaining: Int
        var finishes: Bool
    }

    package init(role: Role, configuration: YamuxConfiguration = YamuxConfiguration()) {
        self.role = role
        self.configuration = configuration
        nextStreamID = role == .dialer ? 1 : 2
    }

    /// The number of open and half-open streams of both sides.
    package var streamCount: Int { streams.count }

    /// Takes the next event, in order.
    package mutating func nextEvent() -> Event? {
        if events.isEmpty { assertInvariants() }
        return events.popFirst()
    }

    /// Opens a stream and returns its id. It is writable at once.
    package mutating func openStream() throws(YamuxError) -> UInt32 {
        if let failure { throw failure }
        guard !hasReceivedGoAway, !hasSentGoAway else { throw .goingAway }
        guard unacknowledgedCount < configuration.maxUnacknowledgedStreams else {
            throw .tooManyUnacknowledgedStreams(limit: configuration.maxUnacknowledgedStreams)
        }
        guard nextStreamID < UInt32.max - 1 else { throw .streamIDsExhausted }
        let id = nextStreamID
        nextStreamID += 2
        unacknowledgedCount += 1
        addStream(id, isInbound: false)
        return id
    }

    /// Queues as much of `bytes` as the stream's queue has room for, and removes that from their front.
    ///
    /// - Returns: Whether all were queued. If not, ``Event/writable(_:)`` says when to retry.
    package mutating func write(_ bytes: inout ByteBuffer, to id: UInt32) throws(YamuxError) -> Bool {
        guard let stream = streams[id], !stream.isFinishRequested else { throw .streamNotWritable(id) }
        let ownRoom = max(0, configuration.maxQueuedBytesPerStream - stream.queuedBytes)
        let room = min(ownRoom, max(0, configuration.maxQueuedBytes - queuedBytes))
        if let part = bytes.readSlice(length: min(room, bytes.readableBytes)) {
            streams[id]?.enqueue(part)
            queuedBytes += part.readableBytes
        }
        streams[id]?.isWriterWaiting = bytes.readableBytes > 0
        if bytes.readableBytes > 0, room < ownRoom { isQueueFull = true }
        schedule(id)
        return bytes.readableBytes == 0
    }

    /// Records that `count` received bytes of a stream were consumed, so that the remote side may send more.
    ///
    /// A window update is sent when half the window was consumed, so that a steady reader never stalls the sender and
    /// an update is worth its frame. If the next one is due within four round trips, the window limits the sender, and
    /// is doubled within the limits.
    ///
    /// - Parameter now: The time; without it windows do not grow.
    package mutating func consume(_ count: Int, of id: UInt32, now: MonotonicTime? = nil) {
        guard var stream = streams[id], !stream.isReceiveFinished, count > 0 else { return }
        stream.consumed += count
        if stream.consumed >= stream.receiveWindowTarget / 2 {
            if let now {
                if let last = stream.lastGrant, let roundTripTime, now - last < roundTripTime * 4 { grow(&stream) }
                stream.lastGrant = now
            }
            stream.receiveWindow += stream.consumed
            stream.pendingIncrement += stream.consumed
            stream.consumed = 0
        }
        streams[id] = stream
        schedule(id)
    }

    private mutating func grow(_ stream: inout YamuxStream) {
        let target = min(stream.receiveWindowTarget * 2, configuration.maxReceiveWindow)
        let growth = min(target - stream.receiveWindowTarget, configuration.maxWindowGrowth - windowGrowth)
        guard growth > 0 else { return }
        windowGrowth += growth
        stream.windowGrowth += growth
        stream.receiveWindowTarget += growth
        stream.receiveWindow += growth
        stream.pendingIncrement += growth
    }

    /// Ends this side's direction of a stream after its queue.
    package mutating func finish(_ id: UInt32) {
        guard streams[id]?.isFinishRequested == false else { return }
        streams[id]?.isFinishRequested = true
        schedule(id)
    }

    /// Drops further bytes of a stream. The remote side gets window updates as if they were read, so that it can reach
    /// its end. To stop it sooner, reset the stream.
    package mutating func stopReading(_ id: UInt32) {
        streams[id]?.isDiscarding = true
    }

    /// Ends both directions of a stream at once and removes it.
    package mutating func reset(_ id: UInt32) {
        guard let stream = streams[id] else { return }
        forget(id)
        // The remote side does not know a stream whose first frame was not sent.
        guard !stream.pendingFlags.contains(.syn) else { return }
        queueControl(YamuxFrameHeader(kind: .windowUpdate, flags: .rst, streamID: id, length: 0))
    }

    /// Queues a ping; the answer is an ``Event/pong(_:)`` with the same value.
    package mutating func ping() -> UInt32 {
        let value = nextPing
        nextPing &+= 1
        queueControl(YamuxFrameHeader(kind: .ping, flags: .syn, streamID: 0, length: value))
        return value
    }

    /// Announces that this side goes away: it opens no stream and resets new ones of the remote side.
    package mutating func goAway(_ reason: YamuxGoAwayReason) {
        guard !hasSentGoAway else { return }
        hasSentGoAway = true
        controlFrames.append(YamuxFrameHeader(kind: .goAway, flags: [], streamID: 0, length: reason.code))
    }

    // MARK: Shared by the two directions

    mutating func addStream(_ id: UInt32, isInbound: Bool) {
        var stream = YamuxStream(
            isInbound: isInbound,
            isAcknowledged: isInbound,
            receiveWindow: YamuxConfiguration.initialWindow,
            receiveWindowTarget: max(configuration.receiveWindow, YamuxConfiguration.initialWindow)
        )
        stream.pendingFlags = isInbound ? .ack : .syn
        stream.pendingIncrement = stream.receiveWindowTarget - stream.receiveWindow
        stream.receiveWindow = stream.receiveWindowTarget
        if isInbound { inboundCount += 1 }
        streams[id] = stream
        schedule(id)
    }

    /// Schedules a stream if it has a frame to send.
    mutating func schedule(_ id: UInt32) {
        guard let stream = streams[id], !stream.isScheduled, stream.hasFrameToSend else { return }
        streams[id]?.isScheduled = true
        round.append(id)
    }

    mutating func forget(_ id: UInt32) {
        guard let stream = streams.removeValue(forKey: id) else { return }
        if stream.isInbound { inboundCount -= 1 }
        queuedBytes -= stream.queuedBytes
        windowGrowth -= stream.windowGrowth
        wakeWriters()
        if !stream.isAcknowledged { unacknowledgedCount -= 1 }
        // The remote side may reuse ids: its openings and resets must not accumulate turns here.
        if stream.isScheduled, let turn = round.firstIndex(of: id) { round.remove(at: turn) }
    }

    mutating func forgetIfClosed(_ id: UInt32) {
        guard streams[id]?.isClosed == true else { return }
        forget(id)
        events.append(.closed(id))
    }

    /// Wakes the writers that the limit of the session has stopped, once half of it is free again.
    mutating func wakeWriters() {
        guard isQueueFull, queuedBytes <= configuration.maxQueuedBytes / 2 else { return }
        isQueueFull = false
        for id in streams.keys
        where streams[id]?.becomesWritable(below: configuration.maxQueuedBytesPerStream / 2) == true {
            events.append(.writable(id))
        }
    }

    mutating func queueControl(_ frame: YamuxFrameHeader) {
        guard failure == nil else { return }
        guard controlFrames.count < configuration.maxQueuedControlFrames else {
            fail(.controlFlood(limit: configuration.maxQueuedControlFrames))
            return
        }
        controlFrames.append(frame)
    }

    /// Ends the session: removes all streams and leaves only a go-away to send.
    mutating func fail(_ error: YamuxError) {
        guard failure == nil else { return }
        failure = error
        streams.removeAll()
        round.removeAll()
        controlFrames.removeAll()
        input = ByteBuffer()
        body = nil
        inboundCount = 0
        unacknowledgedCount = 0
        queuedBytes = 0
        windowGrowth = 0
        goAway(.protocolError)
        events.append(.failed(error))
    }
}
