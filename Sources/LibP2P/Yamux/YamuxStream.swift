import NIOCore

/// What a session knows about one of its streams: windows, the queue of unsent bytes, and which of its
/// directions are still open.
struct YamuxStream {
    let isInbound: Bool
    /// Whether the remote side has acknowledged a stream that this side opened.
    var isAcknowledged: Bool

    // Receiving

    /// How many bytes the remote side may still send.
    var receiveWindow: Int
    /// The window to which ``receiveWindow`` returns once all is consumed; it grows with the connection's bandwidth
    /// and delay.
    var receiveWindowTarget: Int
    /// By how much the window has grown.
    var windowGrowth = 0
    /// When window was granted last.
    var lastGrant: NIODeadline?
    /// Received bytes that were consumed, but not yet granted again.
    var consumed = 0
    var isReceiveFinished = false
    /// Whether nobody reads any more, so that what still comes is dropped.
    var isDiscarding = false

    // Sending

    /// How many bytes this side may still send.
    var sendWindow = YamuxConfiguration.initialWindow
    var queue = CircularBuffer<ByteBuffer>()
    var queuedBytes = 0
    /// Whether a writer was turned away, so that it must be told when there is room.
    var isWriterWaiting = false
    /// Whether the end is to be sent after the queue.
    var isFinishRequested = false
    var isFinishSent = false
    /// The window increment to send next.
    var pendingIncrement = 0
    /// SYN or ACK, to send with the next frame, which is a window update.
    var pendingFlags: YamuxFrameHeader.Flags = []
    /// Whether the stream stands in the session's round of streams with something to send.
    var isScheduled = false

    /// Whether there is a frame to send now.
    var hasFrameToSend: Bool {
        if pendingIncrement > 0 || !pendingFlags.isEmpty { return true }
        if queuedBytes > 0 { return sendWindow > 0 }
        return isFinishRequested && !isFinishSent
    }

    /// Whether both directions have ended and nothing is left to send.
    var isClosed: Bool { isReceiveFinished && isFinishSent }

    mutating func enqueue(_ bytes: ByteBuffer) {
        guard bytes.readableBytes > 0 else { return }
        queuedBytes += bytes.readableBytes
        queue.append(bytes)
    }

    /// Whether a writer was turned away, and may now come back since at most `limit` bytes are queued.
    mutating func becomesWritable(below limit: Int) -> Bool {
        guard isWriterWaiting, queuedBytes <= limit else { return false }
        isWriterWaiting = false
        return true
    }

    /// Appends the stream's next frame to `buffer`: its opening and window first, then data, then its end.
    mutating func writeFrame(id: UInt32, maxData: Int, to buffer: inout ByteBuffer) {
        if pendingIncrement > 0 || !pendingFlags.isEmpty {
            let increment = UInt32(clamping: pendingIncrement)
            YamuxFrameHeader(kind: .windowUpdate, flags: pendingFlags, streamID: id, length: increment)
                .write(to: &buffer)
            pendingFlags = []
            pendingIncrement -= Int(increment)
        } else if queuedBytes > 0 {
            let size = min(queuedBytes, sendWindow, maxData)
            guard size > 0 else { return }
            YamuxFrameHeader(kind: .data, flags: [], streamID: id, length: UInt32(size)).write(to: &buffer)
            dequeue(size, into: &buffer)
            sendWindow -= size
        } else if isFinishRequested, !isFinishSent {
            // A frame of its own: some implementations take FIN before the data of the same frame.
            YamuxFrameHeader(kind: .windowUpdate, flags: .fin, streamID: id, length: 0).write(to: &buffer)
            isFinishSent = true
        }
    }

    /// Moves `count` bytes, at most ``queuedBytes``, from the front of the queue to the end of `buffer`.
    private mutating func dequeue(_ count: Int, into buffer: inout ByteBuffer) {
        var rest = count
        queuedBytes -= rest
        while rest > 0, var first = queue.popFirst() {
            if first.readableBytes <= rest {
                rest -= first.readableBytes
                buffer.writeBuffer(&first)
            } else {
                if var part = first.readSlice(length: rest) { buffer.writeBuffer(&part) }
                queue.prepend(first)
                rest = 0
            }
        }
    }
}
