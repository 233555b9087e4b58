import NIOCore
import Time

/// The state of one stream of a session: windows, the queue of unsent bytes, and the open directions.
struct YamuxStream {
    let isInbound: Bool
    /// Whether the remote side has acknowledged this side's opening of the stream.
    var isAcknowledged: Bool

    // Receiving

    /// The number of bytes that the remote side may still send.
    var receiveWindow: Int
    /// The value of ``receiveWindow`` when all bytes are consumed. It grows with the connection's bandwidth-delay
    /// product.
    var receiveWindowTarget: Int
    /// The growth of the window in bytes.
    var windowGrowth = 0
    /// The time of the last window update.
    var lastGrant: MonotonicTime?
    /// The number of consumed bytes that were not granted again yet.
    var consumed = 0
    var isReceiveFinished = false
    /// Whether received bytes are dropped, because no reader is left.
    var isDiscarding = false

    // Sending

    /// The number of bytes that this side may still send.
    var sendWindow = YamuxConfiguration.initialWindow
    var queue = CircularBuffer<ByteBuffer>()
    var queuedBytes = 0
    /// Whether a stopped writer waits for room.
    var isWriterWaiting = false
    /// Whether to send the end after the queue.
    var isFinishRequested = false
    var isFinishSent = false
    /// The next window increment to send.
    var pendingIncrement = 0
    /// SYN or ACK for the next frame, which is a window update.
    var pendingFlags: YamuxFrameHeader.Flags = []
    /// Whether the stream is in the session's round.
    var isScheduled = false

    /// Whether the stream has a frame to send now.
    var hasFrameToSend: Bool {
        if pendingIncrement > 0 || !pendingFlags.isEmpty { return true }
        if queuedBytes > 0 { return sendWindow > 0 }
        return isFinishRequested && !isFinishSent
    }

    /// Whether both directions have ended and nothing remains to be sent.
    var isClosed: Bool { isReceiveFinished && isFinishSent }

    mutating func enqueue(_ bytes: ByteBuffer) {
        guard bytes.readableBytes > 0 else { return }
        queuedBytes += bytes.readableBytes
        queue.append(bytes)
    }

    /// Whether a stopped writer may continue, since at most `limit` bytes are queued.
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
            // A separate frame, because some implementations handle FIN before the data of the same frame.
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
