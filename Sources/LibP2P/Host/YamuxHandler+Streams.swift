import NIOCore
import Time

/// The streams of a connection until their protocol is negotiated.
extension YamuxHandler {
    func accept(_ id: UInt32) {
        guard runningHandlers < settings.maxInboundStreamsPerConnection, resources.takeInboundStream() else {
            resources.count { $0.streamsRefused += 1 }
            return session.reset(id)
        }
        resources.count { $0.inboundStreamsOpened += 1 }
        let listener = MultistreamListener(supported: handlers.names)
        let stream = StreamCore(id: id, connection: self, negotiation: .inbound(listener))
        add(stream)
        negotiate(stream, listener.start())
    }

    func add(_ stream: StreamCore) {
        streams[stream.id] = stream
        keepAlive.used()
        usageChanged()
        let loopBound = NIOLoopBound(stream, eventLoop: eventLoop)
        let timeout = settings.streamNegotiationTimeout
        stream.timer = eventLoop.scheduleTask(in: TimeAmount(timeout)) {
            let stream = loopBound.value
            guard let negotiation = stream.negotiation else { return }
            if case .outbound(_, let waiter) = negotiation {
                waiter.resume(.failure(StreamError.timeout(timeout)))
            }
            stream.reset()
        }
    }

    func receive(_ bytes: ByteBuffer, on id: UInt32) {
        guard let stream = streams[id] else { return }
        switch stream.negotiation {
        case .outbound(var dialer, let waiter):
            let actions = dialer.receive(bytes)
            stream.negotiation = .outbound(dialer, waiter)
            negotiate(stream, actions, received: bytes.readableBytes)
        case .inbound(var listener):
            let actions = listener.receive(bytes)
            stream.negotiation = .inbound(listener)
            negotiate(stream, actions, received: bytes.readableBytes)
        case nil:
            stream.receive(bytes)
        }
    }

    func negotiate(_ stream: StreamCore, _ actions: [MultistreamAction], received: Int = 0) {
        var consumed = received
        for action in actions {
            switch action {
            case .send(var bytes):
                // A negotiation is smaller than any queue. A full queue means that the peer does not read the answers.
                guard (try? session.write(&bytes, to: stream.id)) == true else { return stream.reset() }
            case .selected(let protocolID, let leftover):
                consumed -= leftover.readableBytes
                session.consume(consumed, of: stream.id, now: .now)
                selected(protocolID, leftover, stream)
                return
            case .failed(let error):
                if case .outbound(_, let waiter) = stream.negotiation { waiter.resume(.failure(error)) }
                return stream.reset()
            }
        }
        session.consume(consumed, of: stream.id, now: .now)
    }

    private func selected(_ protocolID: String, _ leftover: ByteBuffer, _ stream: StreamCore) {
        let negotiation = stream.negotiation
        stream.negotiation = nil
        stream.timer?.cancel()
        stream.timer = nil
        if leftover.readableBytes > 0 { stream.receive(leftover) }
        // If the waiter is gone, dropping `muxed` resets the stream.
        let muxed = MuxedStream(core: stream, protocolID: protocolID)
        switch negotiation {
        case .outbound(_, let waiter): waiter.resume(.success(muxed))
        case .inbound: run(handlers[protocolID], with: muxed)
        case nil: break
        }
    }

    private func run(_ handler: ProtocolHandlers.Handler?, with stream: MuxedStream) {
        guard let handler else { return }
        runningHandlers += 1
        let loopBound = NIOLoopBound(self, eventLoop: eventLoop)
        let eventLoop = eventLoop
        tasks.start(on: taskExecutor) {
            await handler(stream)
            eventLoop.execute {
                loopBound.value.runningHandlers -= 1
                loopBound.value.usageChanged()
            }
        }
    }
}
