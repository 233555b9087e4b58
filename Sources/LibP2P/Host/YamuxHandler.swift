import Multiformats
import NIOCore
internal import NIOSSL

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

    let activity = ConnectionActivity()
    let resources: HostResources
    var session: YamuxSession
    var streams: [UInt32: StreamCore] = [:]
    let handlers: ProtocolHandlers
    let tasks: TaskTracker
    private(set) var context: ChannelHandlerContext?
    /// Handlers of inbound streams that have not returned; a peer that opens and resets streams is bounded by it.
    var runningHandlers = 0
    /// Received bytes of all streams that nobody has read.
    private(set) var unreadBytes = 0
    /// What the host was told of this connection's memory.
    private var publishedBytes = 0
    /// How many refused streams the host was told of.
    private var publishedRefusals = 0
    private var isPumping = false
    private var isReading = false
    var keepAlive: KeepAlive
    var nextTick: Scheduled<Void>?
    private(set) var closeReason: String?

    init(
        role: YamuxSession.Role,
        remotePeer: PeerID,
        remoteAddress: Multiaddr,
        settings: HostConfiguration,
        handlers: ProtocolHandlers,
        tasks: TaskTracker,
        resources: HostResources,
        eventLoop: any EventLoop
    ) {
        var configuration = YamuxConfiguration()
        configuration.maxInboundStreams = settings.maxInboundStreamsPerConnection
        configuration.receiveWindow = settings.streamReceiveWindow
        configuration.maxReceiveWindow = max(settings.maxStreamReceiveWindow, settings.streamReceiveWindow)
        configuration.maxWindowGrowth = settings.maxWindowGrowthPerConnection
        configuration.maxQueuedBytesPerStream = settings.streamSendQueue
        configuration.maxQueuedBytes = settings.maxQueuedBytesPerConnection
        session = YamuxSession(role: role, configuration: configuration)
        keepAlive = KeepAlive(
            interval: TimeAmount(settings.keepAliveInterval),
            timeout: TimeAmount(settings.keepAliveTimeout),
            idleTimeout: TimeAmount(settings.idleTimeout)
        )
        self.remotePeer = remotePeer
        self.remoteAddress = remoteAddress
        self.settings = settings
        self.handlers = handlers
        self.tasks = tasks
        self.resources = resources
        self.eventLoop = eventLoop
    }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        beginKeepAlive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        connectionEnded()
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        isReading = true
        keepAlive.received()
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
        switch error {
        case is NoiseError: drop(.brokenSecurity, "\(error)")
        case NIOSSLError.uncleanShutdown: close(reason: "the peer closed it")
        case is NIOSSLError, is BoringSSLError: drop(.brokenSecurity, "\(error)")
        default: close(reason: "\(error)")
        }
    }

    // MARK: For streams

    /// Gives bytes of a stream to the session, whether there was room for all, without sending them yet; `nil` when
    /// the stream cannot be written to.
    func send(_ bytes: inout ByteBuffer, on id: UInt32) -> Bool? {
        try? session.write(&bytes, to: id)
    }

    func consume(_ count: Int, of id: UInt32) {
        session.consume(count, of: id, now: .now())
        pump()
    }

    func finish(_ id: UInt32) {
        session.finish(id)
        pump()
    }

    func stopReading(_ id: UInt32) { session.stopReading(id) }

    func isOpen(_ id: UInt32) -> Bool { streams[id] != nil }

    /// Whether so many bytes more may wait to be read, by the bounds of this connection and of the host.
    func hasRoom(for count: Int) -> Bool {
        count == 0 || unreadBytes + count <= settings.maxUnreadBytesPerConnection && !resources.isOverMemory
    }

    /// Takes note that so many bytes more, or fewer, wait to be read.
    func addUnread(_ difference: Int) {
        unreadBytes += difference
        publish()
    }

    /// Tells the host what it counts over all connections.
    private func publish() {
        let bytes = closeReason == nil ? unreadBytes + session.queuedBytes : 0
        resources.addBufferedBytes(bytes - publishedBytes)
        publishedBytes = bytes
        let refusals = session.refusedCount
        if refusals > publishedRefusals {
            let new = refusals - publishedRefusals
            resources.count { $0.streamsRefused += new }
            publishedRefusals = refusals
        }
    }

    func reset(_ id: UInt32) {
        streams[id] = nil
        session.reset(id)
        usageChanged()
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
            resources.count { $0.outboundStreamsOpened += 1 }
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
            case .reset(let id):
                streams.removeValue(forKey: id)?.fail(.reset)
                usageChanged()
            case .closed(let id):
                streams.removeValue(forKey: id)?.ended()
                usageChanged()
            case .writable(let id): streams[id]?.pumpWriters()
            case .pong(let value):
                if let time = keepAlive.ponged(value, now: .now()) {
                    session.roundTripTime = time
                    activity.roundTripTime = .nanoseconds(time.nanoseconds)
                }
            case .goingAway: break
            case .failed(let error): drop(DropReason(error), error.description)
            }
        }
        publish()
        if session.hasReceivedGoAway, streams.isEmpty { close(reason: "the peer goes away") }
    }

    // MARK: Sending

    /// Sends what the session has while the connection takes it.
    func pump() {
        // What a read causes leaves together after it; and `pump` may come back here through a writer.
        guard !isReading, !isPumping, let context else { return }
        isPumping = true
        defer {
            isPumping = false
            publish()
        }
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

    /// Sends a ping and takes its time.
    func ping() {
        keepAlive.pinged(session.ping(), now: .now())
        pump()
    }

    func connectionEnded() {
        nextTick?.cancel()
        nextTick = nil
        let reason = closeReason ?? "the peer closed it"
        closeReason = reason
        let ended = streams.values
        streams.removeAll()
        for stream in ended { stream.fail(.connectionClosed(reason: reason)) }
        usageChanged()
        publish()
    }
}
