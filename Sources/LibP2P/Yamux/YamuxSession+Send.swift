import NIOCore

extension YamuxSession {
    /// Whether ``nextOutbound(maxBytes:)`` has frames.
    package var hasOutbound: Bool { !controlFrames.isEmpty || !round.isEmpty }

    /// Takes the next frames to send.
    ///
    /// - Parameter maxBytes: The maximum number of bytes: one write of the layer below. At least twice the size of a
    ///   frame header.
    /// - Returns: Whole frames, or `nil` when there is nothing to send.
    package mutating func nextOutbound(maxBytes: Int) -> ByteBuffer? {
        guard hasOutbound else { return nil }
        var buffer = ByteBuffer()
        while buffer.readableBytes + YamuxFrameHeader.size <= maxBytes, let frame = controlFrames.popFirst() {
            frame.write(to: &buffer)
        }
        // Leave room for at least one byte of data. Otherwise a stream would waste its turn.
        while maxBytes - buffer.readableBytes > YamuxFrameHeader.size, let id = round.popFirst() {
            writeFrame(of: id, room: maxBytes - buffer.readableBytes, to: &buffer)
        }
        return buffer.readableBytes > 0 ? buffer : nil
    }

    /// Writes one frame of a stream and moves the stream to the end of the round if it has more.
    private mutating func writeFrame(of id: UInt32, room: Int, to buffer: inout ByteBuffer) {
        streams[id]?.isScheduled = false
        let before = streams[id]?.queuedBytes ?? 0
        streams[id]?.writeFrame(
            id: id,
            maxData: min(configuration.maxFrameSize, room - YamuxFrameHeader.size),
            to: &buffer
        )
        queuedBytes -= before - (streams[id]?.queuedBytes ?? before)
        if streams[id]?.becomesWritable(below: configuration.maxQueuedBytesPerStream / 2) == true {
            events.append(.writable(id))
        }
        wakeWriters()
        forgetIfClosed(id)
        schedule(id)
    }
}
