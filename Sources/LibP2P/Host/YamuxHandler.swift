import Multiformats
import NIOCore

/// The end of a connection's pipeline: feeds the yamux session, hands its streams to the program, and
/// sees to it that a dead or idle connection ends.
final class YamuxHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// The most bytes of one write: the plaintext of one Noise message, so that each is full.
    private static let maxWriteSize = NoiseHandler.maximumPlaintextLength

    let remotePeer: PeerID
    let remoteAddress: Multiaddr
    let settings: HostConfiguration
    let eventLoop: any EventLoop

    private var session: YamuxSession
    private var streams: [UInt32: StreamCore] = [:]
    private let handlers: ProtocolHandlers
    private let tasks: TaskTracker
    private var context: ChannelHandlerContext?
    /// Handlers of inbound streams that have not returned; a peer that opens and resets streams is bounded by it.
    private var runningHandlers = 0
    private var isPumping = false
    private var isReading = false
    private var hasReceivedSinceTick = false
    private var idleSince: NIODeadline?
    /// When the peer must have answered the last ping, while it has not.
    private var pingDeadline: NIODeadline?
    private var keepAlive: Scheduled<Void>?
    private(set) var closeReason: String?

    init(
        role: YamuxSession.Role,
        remotePeer: PeerID,
        remoteAddress: Multiaddr,
        settings: HostConfiguration,
        handlers: ProtocolHandlers,
        tasks: TaskTracker,
        eventLoop: any EventLoop
    ) {
        var configuration = YamuxConfiguration()
        configuration.maxInboundStreams = settings.maxInboundStreamsPerConnection
        configuration.receiveWindow = settings.streamReceiveWindow
        configuration.maxQueuedBytesPerStream = settings.streamSendQueue
        session = YamuxSession(role: role, configuration: configuration)
        self.remotePeer = remotePeer
        self.remoteAddress = remoteAddress
        self.settings = settings
        self.handlers = handlers
        self.tasks = tasks
        self.eventLoop = eventLoop
    }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        scheduleKeepAlive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        connectionEnded()
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        isReading = true
        hasReceivedSinceTick = true
        session.receive(unwrapInboundIn(data))
        handleEvents()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        pump()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { pump() }
    }

    func channelInactive(context: ChannelHandlerContext) {
        connectionEnded()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        close(reason: "\(error)")
    }

    // MARK: For streams

    /// Gives bytes of a stream to the session, whether there was room for all, without sending them yet; `nil` when
    /// the stream cannot be written to.
    func send(_ bytes: inout ByteBuffer, on id: UInt32) -> Bool? {
        try? session.write(&bytes, to: id)
    }

    func consume(_ count: Int, of id: UInt32) {
        session.consume(count, of: id)
        pump()
    }

    func finish(_ id: UInt32) {
        session.finish(id)
        pump()
    }

    func stopReading(_ id: UInt32) { session.stopReading(id) }

    func isOpen(_ id: UInt32) -> Bool { streams[id] != nil }

    func reset(_ id: UInt32) {
        streams[id] = nil
        session.reset(id)
        pump()
    }

    // MARK: For the host

    /// Opens a stream and agrees upon the first of `protocols` that the peer supports.
    func openStream(protocols: [String], waiter: Waiter<MuxedStream>) {
        if let closeReason {
            waiter.resume(.failure(StreamError.connectionClosed(reason: closeReason)))
            return
        }
        do {
            let id = try session.openStream()
            var dialer = MultistreamDialer(protocols: protocols)
            let actions = dialer.start()
            let stream = StreamCore(id: id, connection: self, negotiation: .outbound(dialer, waiter))
            add(stream)
            negotiate(stream, actions)
            pump()
        } catch {
            waiter.resume(.failure(error))
        }
    }

    /// Tells the peer that no more streams are opened; the open ones may end.
    func goAway() {
        session.goAway(.normal)
        pump()
    }

    /// Says goodbye, as far as the peer takes it at once, and closes the connection.
    func close(reason: String) {
        guard closeReason == nil, let context else { return }
        closeReason = reason
        isReading = false
        goAway()
        context.close(promise: nil)
    }

    // MARK: Events of the session

    private func handleEvents() {
        while let event = session.nextEvent() {
            switch event {
            case .opened(let id): accept(id)
            case .data(let id, let bytes): receive(bytes, on: id)
            case .finished(let id):
                guard let stream = streams[id] else { break }
                if stream.negotiation == nil { stream.receiveEnd() } else { stream.reset() }
            case .reset(let id): streams.removeValue(forKey: id)?.fail(.reset)
            case .closed(let id): streams.removeValue(forKey: id)?.ended()
            case .writable(let id): streams[id]?.pumpWriters()
            case .pong: break  // Its bytes alone show that the peer lives.
            case .goingAway: break
            case .failed(let error): close(reason: error.description)
            }
        }
        if session.hasReceivedGoAway, streams.isEmpty { close(reason: "the peer goes away") }
    }

    private func accept(_ id: UInt32) {
        guard runningHandlers < settings.maxInboundStreamsPerConnection else { return session.reset(id) }
        let listener = MultistreamListener(supported: handlers.names)
        let stream = StreamCore(id: id, connection: self, negotiation: .inbound(listener))
        add(stream)
        negotiate(stream, listener.start())
    }

    private func add(_ stream: StreamCore) {
        streams[stream.id] = stream
        idleSince = nil
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

    private func receive(_ bytes: ByteBuffer, on id: UInt32) {
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

    private func negotiate(_ stream: StreamCore, _ actions: [MultistreamAction], received: Int = 0) {
        var consumed = received
        for action in actions {
            switch action {
            case .send(var bytes):
                // A negotiation is smaller than any queue: who fills it does not read the answers.
                guard (try? session.write(&bytes, to: stream.id)) == true else { return stream.reset() }
            case .selected(let protocolID, let leftover):
                consumed -= leftover.readableBytes
                session.consume(consumed, of: stream.id)
                selected(protocolID, leftover, stream)
                return
            case .failed(let error):
                if case .outbound(_, let waiter) = stream.negotiation { waiter.resume(.failure(error)) }
                return stream.reset()
            }
        }
        session.consume(consumed, of: stream.id)
    }

    private func selected(_ protocolID: String, _ leftover: ByteBuffer, _ stream: StreamCore) {
        let negotiation = stream.negotiation
        stream.negotiation = nil
        stream.timer?.cancel()
        stream.timer = nil
        if leftover.readableBytes > 0 { stream.receive(leftover) }
        // Without an owner from here on, the stream is reset.
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
        tasks.start {
            await handler(stream)
            eventLoop.execute { loopBound.value.runningHandlers -= 1 }
        }
    }

    // MARK: Sending

    /// Sends what the session has while the connection takes it.
    func pump() {
        // What a read causes leaves together after it; and `pump` may come back here through a writer.
        guard !isReading, !isPumping, let context else { return }
        isPumping = true
        defer { isPumping = false }
        // Again after each flush: the channel may tell within it that it can take more, which is missed here.
        while session.hasOutbound, context.channel.isWritable {
            // TLS keeps what is written until the flush, and the channel cannot tell before it that it is full.
            var unflushed = 0
            while context.channel.isWritable, unflushed < Self.maxWriteSize,
                let bytes = session.nextOutbound(maxBytes: Self.maxWriteSize)
            {
                unflushed += bytes.readableBytes
                context.write(wrapOutboundOut(bytes), promise: nil)
                handleEvents()
            }
            context.flush()
        }
    }

    // MARK: Life and death

    private func scheduleKeepAlive(in delay: TimeAmount? = nil) {
        let loopBound = NIOLoopBound(self, eventLoop: eventLoop)
        keepAlive = eventLoop.scheduleTask(in: delay ?? TimeAmount(settings.keepAliveInterval)) {
            loopBound.value.keepAliveTick()
        }
    }

    private func keepAliveTick() {
        let now = NIODeadline.now()
        if streams.isEmpty, runningHandlers == 0 {
            let since = idleSince ?? now
            idleSince = since
            if now - since >= TimeAmount(settings.idleTimeout) { return close(reason: "no stream was in use") }
        } else {
            idleSince = nil
        }
        if hasReceivedSinceTick {
            hasReceivedSinceTick = false
            pingDeadline = nil
            return scheduleKeepAlive()
        }
        let interval = TimeAmount(settings.keepAliveInterval)
        if let pingDeadline {
            guard now < pingDeadline else { return close(reason: "the peer answers no ping") }
            return scheduleKeepAlive(in: min(interval, pingDeadline - now))
        }
        let timeout = TimeAmount(settings.keepAliveTimeout)
        pingDeadline = now + timeout
        _ = session.ping()
        pump()
        scheduleKeepAlive(in: min(interval, timeout))
    }

    private func connectionEnded() {
        keepAlive?.cancel()
        keepAlive = nil
        let reason = closeReason ?? "the peer closed it"
        closeReason = reason
        let ended = streams.values
        streams.removeAll()
        for stream in ended { stream.fail(.connectionClosed(reason: reason)) }
    }
}
