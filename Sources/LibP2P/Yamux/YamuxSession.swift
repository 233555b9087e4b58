import NIOCore

/// Many streams over one connection: `/yamux/1.0.0` (hashicorp yamux spec.md, libp2p/specs yamux/README.md).
///
/// A pure state machine. Bytes from the connection go into ``receive(_:)``; what that means for the streams
/// comes out of ``nextEvent()``, to be asked until it answers `nil`, after every call. Bytes for the
/// connection come out of ``nextOutbound(maxBytes:)``, which is asked only while the connection can take
/// more: so its back-pressure reaches each stream's queue, and a frame is cut no sooner than it can leave.
///
/// Streams with something to send take turns, a frame each.
package struct YamuxSession {
    /// The side of the connection, which says whose stream ids are odd.
    package enum Role: Equatable {
        case dialer
        case listener
    }

    /// Something that the driver has to know of.
    package enum Event: Equatable {
        /// The remote side opened a stream.
        case opened(UInt32)
        /// Bytes came. They count against the window until ``YamuxSession/consume(_:of:)``.
        case data(UInt32, ByteBuffer)
        /// The remote side ended its direction of a stream.
        case finished(UInt32)
        /// The remote side reset a stream, which is forgotten thereby.
        case reset(UInt32)
        /// A stream whose queue was full has room again.
        case writable(UInt32)
        /// Both directions of a stream ended in order; it is forgotten.
        case closed(UInt32)
        /// The answer to a ping.
        case pong(UInt32)
        /// The remote side goes away: no more streams can be opened; the open ones may end in peace.
        case goingAway(YamuxGoAwayReason)
        /// The session is over; a go-away is ready to be sent, after which the connection is to be closed.
        case failed(YamuxError)
    }

    let role: Role
    let configuration: YamuxConfiguration

    var streams: [UInt32: YamuxStream] = [:]
    /// The streams with a frame to send, in the order of their turns.
    var round = CircularBuffer<UInt32>()
    /// Frames of the session itself and resets, which go first.
    var controlFrames = CircularBuffer<YamuxFrameHeader>()
    var events = CircularBuffer<Event>()
    var inboundCount = 0
    /// How many streams were refused since one was accepted.
    var refusedInARow = 0
    /// How many streams were refused in all.
    var refusedCount = 0
    /// The bytes of all streams that wait to be sent.
    var queuedBytes = 0
    /// Whether a writer was turned away because of ``YamuxConfiguration/maxQueuedBytes``.
    var isQueueFull = false
    /// By how many bytes the windows of the open streams have grown.
    var windowGrowth = 0
    /// The time of a ping and its answer, as far as the driver knows it; windows grow only then.
    var roundTripTime: TimeAmount?
    var unacknowledgedCount = 0
    var hasSentGoAway = false
    var hasReceivedGoAway = false
    var failure: YamuxError?

    /// The beginning of a frame header whose rest has not come.
    var input = ByteBuffer()
    /// The data frame whose bytes are coming in.
    var body: Body?

    private var nextStreamID: UInt32
    private var nextPing: UInt32 = 0

    /// The rest of a data frame.
    struct Body {
        /// `nil` when the bytes belong to no living stream and are dropped.
        var streamID: UInt32?
        var remaining: Int
        var finishes: Bool
    }

    package init(role: Role, configuration: YamuxConfiguration = YamuxConfiguration()) {
        self.role = role
        self.configuration = configuration
        nextStreamID = role == .dialer ? 1 : 2
    }

    /// How many streams are open or half open, by either side.
    package var streamCount: Int { streams.count }

    /// Takes the next event, in the order in which they happened.
    package mutating func nextEvent() -> Event? {
        events.popFirst()
    }

    /// Opens a stream and returns its id. It may be written to at once.
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

    /// Queues as much of `bytes` for a stream as its queue has room for, and takes that off their front.
    ///
    /// - Returns: Whether all was taken. If not, ``Event/writable(_:)`` says when to try the rest.
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

    /// Says that `count` received bytes of a stream were taken, so that the remote side may send more.
    ///
    /// A window update goes out when half the window was consumed, so that a steady reader never stalls
    /// the sender and an update is worth its frame. If the next one is due within four round trips, the window is
    /// what holds the sender back, and is doubled within the limits.
    ///
    /// - Parameter now: The time; without it windows do not grow.
    package mutating func consume(_ count: Int, of id: UInt32, now: NIODeadline? = nil) {
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

    /// Ends this side's direction of a stream after what is queued.
    package mutating func finish(_ id: UInt32) {
        guard streams[id]?.isFinishRequested == false else { return }
        streams[id]?.isFinishRequested = true
        schedule(id)
    }

    /// Drops what still comes on a stream. The remote side is granted window as if it was read, so that it can
    /// come to its end; who does not want to wait for that resets the stream.
    package mutating func stopReading(_ id: UInt32) {
        streams[id]?.isDiscarding = true
    }

    /// Ends both directions of a stream at once and forgets it.
    package mutating func reset(_ id: UInt32) {
        guard let stream = streams[id] else { return }
        forget(id)
        // The remote side has not heard of a stream whose first frame is still here.
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

    /// Announces that this side goes away: it opens no stream, and resets those that the remote side opens.
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

    /// Gives a stream a turn if it has a frame to send.
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
        // Ids of the remote side may come again: its openings and resets must not pile up turns here.
        if stream.isScheduled, let turn = round.firstIndex(of: id) { round.remove(at: turn) }
    }

    mutating func forgetIfClosed(_ id: UInt32) {
        guard streams[id]?.isClosed == true else { return }
        forget(id)
        events.append(.closed(id))
    }

    /// Calls back the writers that the bound of the whole session turned away, once half of it is free again.
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

    /// Ends the session: forgets all streams and leaves only a go-away to send.
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
