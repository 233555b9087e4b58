import NIOCore

/// What holds between two calls.
extension YamuxSession {
    /// Above this number of streams only a property test checks the invariants, since that takes linear time.
    private static let checkedStreams = 16

    func assertInvariants() {
        assert(streams.count > Self.checkedStreams || checkInvariants() == nil, checkInvariants() ?? "")
    }

    /// Checks that the counts agree with the streams, that the limits hold, and that no stream with something to send and
    /// no writer with room is forgotten.
    ///
    /// - Returns: what does not hold; `nil` if all does.
    func checkInvariants() -> String? {
        guard failure == nil else { return checkEnd() }
        if streams.values.count(where: \.isInbound) != inboundCount { return "inbound streams are miscounted" }
        if inboundCount > configuration.maxInboundStreams { return "too many inbound streams" }
        if streams.values.count(where: { !$0.isAcknowledged }) != unacknowledgedCount {
            return "unacknowledged streams are miscounted"
        }
        if unacknowledgedCount > configuration.maxUnacknowledgedStreams { return "too many unacknowledged streams" }
        if streams.values.reduce(0, { $0 + $1.queuedBytes }) != queuedBytes { return "queued bytes are miscounted" }
        if queuedBytes > configuration.maxQueuedBytes { return "too many queued bytes" }
        if streams.values.reduce(0, { $0 + $1.windowGrowth }) != windowGrowth { return "window growth is miscounted" }
        if windowGrowth > configuration.maxWindowGrowth { return "the windows grew too much" }
        // A go-away may come on top.
        if controlFrames.count > configuration.maxQueuedControlFrames + 1 { return "too many queued answers" }
        let turns = Set(round)
        if turns.count != round.count { return "a stream has two turns" }
        if turns.count != streams.values.count(where: \.isScheduled) { return "turns are miscounted" }
        for (id, stream) in streams {
            if stream.isInbound != ((id % 2 == 1) == (role == .listener)) { return "stream \(id) is of the other side" }
            if stream.isScheduled != turns.contains(id) { return "stream \(id) has no turn" }
            if let violation = check(stream) { return "stream \(id): \(violation)" }
        }
        return nil
    }

    private func check(_ stream: YamuxStream) -> String? {
        if stream.hasFrameToSend, !stream.isScheduled { return "a frame waits for no turn" }
        if stream.queue.reduce(0, { $0 + $1.readableBytes }) != stream.queuedBytes { return "bytes are miscounted" }
        if stream.queuedBytes > configuration.maxQueuedBytesPerStream { return "too many queued bytes" }
        if stream.isWriterWaiting, !isQueueFull, stream.queuedBytes <= configuration.maxQueuedBytesPerStream / 2 {
            return "a writer waits though there is room"
        }
        // What is granted, or consumed and not granted yet, never exceeds the window.
        if stream.receiveWindow < 0 || stream.receiveWindow + stream.consumed > stream.receiveWindowTarget {
            return "the receive window is too large"
        }
        if stream.sendWindow < 0 { return "more was sent than the window allows" }
        if stream.isFinishSent, !stream.isFinishRequested || stream.queuedBytes > 0 { return "the end came too early" }
        return stream.isClosed ? "a closed stream stays" : nil
    }

    private func checkEnd() -> String? {
        guard streams.isEmpty, round.isEmpty, body == nil, queuedBytes == 0, inboundCount == 0, unacknowledgedCount == 0
        else { return "a failed session has streams" }
        return controlFrames.count <= 1 ? nil : "a failed session sends more than a go-away"
    }
}
