import NIOCore

extension YamuxSession {
    /// Receives bytes from the connection in any segmentation.
    ///
    /// The bytes of a data frame are passed on as they come. Only an incomplete header is buffered.
    package mutating func receive(_ bytes: ByteBuffer) {
        guard failure == nil else { return }
        var bytes = bytes
        if input.readableBytes > 0 {
            input.writeBuffer(&bytes)
        } else {
            input = bytes
        }
        do throws(YamuxError) {
            while failure == nil, try receiveNext() {}
        } catch {
            fail(error)
        }
        // A copy of the few remaining bytes: a slice would keep the whole input in memory.
        input = input.readableBytes == 0 ? ByteBuffer() : ByteBuffer(bytes: input.readableBytesView)
    }

    /// Handles a header or a part of a body. Returns `false` when more bytes are needed.
    private mutating func receiveNext() throws(YamuxError) -> Bool {
        if let body { return receiveBody(body) }
        guard let header = try YamuxFrameHeader.read(from: &input) else { return false }
        switch header.kind {
        case .data: try receiveData(header)
        case .windowUpdate: try receiveWindowUpdate(header)
        case .ping: try receivePing(header)
        case .goAway: try receiveGoAway(header)
        }
        return true
    }

    private mutating func receiveBody(_ current: Body) -> Bool {
        var current = current
        if current.remaining > 0 {
            guard let part = input.readSlice(length: min(current.remaining, input.readableBytes)),
                part.readableBytes > 0
            else { return false }
            current.remaining -= part.readableBytes
            // The stream may have been reset, or closed for reading, since the frame began.
            if let id = current.streamID, let stream = streams[id] {
                if stream.isDiscarding {
                    consume(part.readableBytes, of: id)
                } else {
                    events.append(.data(id, part))
                }
            }
        }
        if current.remaining == 0 {
            body = nil
            if current.finishes, let id = current.streamID { receiveFinish(id) }
        } else {
            body = current
        }
        return true
    }

    private mutating func receiveData(_ header: YamuxFrameHeader) throws(YamuxError) {
        let length = Int(header.length)
        let isLiving = try receiveFlags(header)
        guard isLiving, var stream = streams[header.streamID] else {
            // Bytes in transit at the time of a reset: at most one window.
            let window = max(configuration.receiveWindow, configuration.maxReceiveWindow)
            guard length <= window else {
                throw .protocolViolation("data frame of \(length) bytes exceeds any stream's window of \(window)")
            }
            body = Body(streamID: nil, remaining: length, finishes: false)
            return
        }
        guard length <= stream.receiveWindow else {
            throw .protocolViolation(
                "data frame of \(length) bytes on stream \(header.streamID) exceeds its window of "
                    + "\(stream.receiveWindow)"
            )
        }
        guard length == 0 || !stream.isReceiveFinished else {
            throw .protocolViolation("data on stream \(header.streamID) after its end")
        }
        stream.receiveWindow -= length
        streams[header.streamID] = stream
        body = Body(streamID: header.streamID, remaining: length, finishes: header.flags.contains(.fin))
    }

    private mutating func receiveWindowUpdate(_ header: YamuxFrameHeader) throws(YamuxError) {
        guard try receiveFlags(header), var stream = streams[header.streamID] else { return }
        stream.sendWindow += Int(header.length)
        guard stream.sendWindow <= Int(UInt32.max) else {
            throw .protocolViolation("window of stream \(header.streamID) exceeds 32 bits")
        }
        streams[header.streamID] = stream
        schedule(header.streamID)
        if header.flags.contains(.fin) { receiveFinish(header.streamID) }
    }

    /// Applies SYN, ACK and RST. The caller applies FIN after the data of the same frame.
    ///
    /// - Returns: Whether the stream exists, so that the frame applies to it.
    private mutating func receiveFlags(_ header: YamuxFrameHeader) throws(YamuxError) -> Bool {
        let id = header.streamID
        guard id != 0 else { throw .protocolViolation("\(header.kind) frame on stream 0") }
        if header.flags.contains(.syn) { try receiveOpening(id) }
        guard let stream = streams[id] else { return false }
        if header.flags.contains(.ack), !stream.isAcknowledged {
            streams[id]?.isAcknowledged = true
            unacknowledgedCount -= 1
        }
        if header.flags.contains(.rst) {
            forget(id)
            events.append(.reset(id))
            return false
        }
        return true
    }

    private mutating func receiveOpening(_ id: UInt32) throws(YamuxError) {
        let isRemoteID = (id % 2 == 1) == (role == .listener)
        guard isRemoteID else { throw .protocolViolation("peer opened stream \(id) with an id of this side") }
        guard streams[id] == nil else { throw .protocolViolation("peer opened stream \(id) twice") }
        guard !hasSentGoAway, inboundCount < configuration.maxInboundStreams else {
            refuse(id)
            return
        }
        refusedInARow = 0
        addStream(id, isInbound: true)
        events.append(.opened(id))
    }

    private mutating func refuse(_ id: UInt32) {
        refusedCount += 1
        refusedInARow += 1
        guard refusedInARow <= configuration.maxRefusedStreams else {
            return fail(.streamFlood(limit: configuration.maxRefusedStreams))
        }
        queueControl(YamuxFrameHeader(kind: .windowUpdate, flags: .rst, streamID: id, length: 0))
    }

    private mutating func receiveFinish(_ id: UInt32) {
        guard streams[id]?.isReceiveFinished == false else { return }
        streams[id]?.isReceiveFinished = true
        events.append(.finished(id))
        forgetIfClosed(id)
    }

    private mutating func receivePing(_ header: YamuxFrameHeader) throws(YamuxError) {
        guard header.streamID == 0 else { throw .protocolViolation("ping on stream \(header.streamID)") }
        if header.flags.contains(.syn) {
            queueControl(YamuxFrameHeader(kind: .ping, flags: .ack, streamID: 0, length: header.length))
        } else if header.flags.contains(.ack) {
            events.append(.pong(header.length))
        }
    }

    private mutating func receiveGoAway(_ header: YamuxFrameHeader) throws(YamuxError) {
        guard header.streamID == 0 else { throw .protocolViolation("go-away on stream \(header.streamID)") }
        hasReceivedGoAway = true
        events.append(.goingAway(YamuxGoAwayReason(code: header.length)))
    }
}
