import Listening
import Multiformats
import NIOCore
internal import NIOSSL
import Time

/// The last handler of a connection's pipeline. It drives the yamux session, passes its streams to the program, and
/// ends dead or idle connections.
final class YamuxHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// The maximum size of one write in bytes: the plaintext of a full Noise message.
    private static let maxWriteSize = NoiseHandler.maximumPlaintextLength

    let remotePeer: PeerID
    let remoteAddress: Multiaddr
    let settings: HostConfiguration
    let eventLoop: any EventLoop
    /// Runs the program's handlers of streams on the event loop.
    let taskExecutor: EventLoopTaskExecutor

    let activity = ConnectionActivity()
    let resources: HostResources
    var session: YamuxSession
    var streams: [UInt32: StreamCore] = [:]
    let handlers: ProtocolHandlers
    let tasks: TaskTracker
    private(set) var context: ChannelHandlerContext?
    /// The number of running inbound stream handlers. It bounds a peer that opens and resets streams.
    var runningHandlers = 0
    /// The number of unread bytes of all streams.
    private(set) var unreadBytes = 0
    /// The number of buffered bytes last reported to the host.
    private var publishedBytes = 0
    /// The number of refused streams last reported to the host.
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
            interval: settings.keepAliveInterval,
            timeout: settings.keepAliveTimeout,
            idleTimeout: settings.idleTimeout
        )
        self.remotePeer = remotePeer
        self.remoteAddress = remoteAddress
        self.settings = settings
        self.handlers = handlers
        self.tasks = tasks
        self.resources = resources
        self.eventLoop = eventLoop
        taskExecutor = EventLoopTaskExecutor(eventLoop)
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
        case NIOSSLError.uncleanShutdown: close(reason: "peer closed the connection")
        case is NIOSSLError, is BoringSSLError: drop(.brokenSecurity, "\(error)")
        default: close(reason: "\(error)")
        }
    }

    // MARK: For streams

    /// Queues bytes of a stream in the session without sending them. Returns whether all fitted, or `nil` when the
    /// stream is not writable.
    func send(_ bytes: inout ByteBuffer, on id: UInt32) -> Bool? {
        try? session.write(&bytes, to: id)
    }

    func consume(_ count: Int, of id: UInt32) {
        session.consume(count, of: id, now: .now)
        pump()
    }

    func finish(_ id: UInt32) {
        session.finish(id)
        pump()
    }

    func stopReading(_ id: UInt32) { session.stopReading(id) }

    func isOpen(_ id: UInt32) -> Bool { streams[id] != nil }

    /// Whether `count` more unread bytes are within the limits of this connection and of the host.
    func hasRoom(for count: Int) -> Bool {
        count == 0 || unreadBytes + count <= settings.maxUnreadBytesPerConnection && !resources.isOverMemory
    }

    /// Adds the change of the unread bytes.
    func addUnread(_ difference: Int) {
        unreadBytes += difference
        publish()
    }

    /// Reports counts to the host.
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

    /// Opens a stream and negotiates the first of `protocols` that the peer supports.
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

    /// Sends a go-away: no more streams can be opened, the open ones may end.
    func goAway() {
        session.goAway(.normal)
        pump()
    }

    /// Sends a go-away, as far as the peer accepts it at once, and closes the connection.
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
                if let time = keepAlive.ponged(value, now: .now) {
                    session.roundTripTime = time
                    activity.roundTripTime = time
                }
            case .goingAway: break
            case .failed(let error): drop(DropReason(error), error.description)
            }
        }
        publish()
        if session.hasReceivedGoAway, streams.isEmpty { close(reason: "peer sent go-away") }
    }

    // MARK: Sending

    /// Sends queued bytes of the session while the channel is writable.
    func pump() {
        // Bytes that a read causes leave together after it. A writer may re-enter `pump`.
        guard !isReading, !isPumping, let context else { return }
        isPumping = true
        defer {
            isPumping = false
            publish()
        }
        // Repeat after each flush: the channel may become writable during it, which is not signalled here.
        while session.hasOutbound, context.channel.isWritable {
            // TLS keeps written bytes until the flush, and the channel cannot report before it that it is full.
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

    /// Sends a ping and records its time.
    func ping() {
        keepAlive.pinged(session.ping(), now: .now)
        pump()
    }

    func connectionEnded() {
        nextTick?.cancel()
        nextTick = nil
        let reason = closeReason ?? "peer closed the connection"
        closeReason = reason
        let ended = streams.values
        streams.removeAll()
        for stream in ended { stream.fail(.connectionClosed(reason: reason)) }
        usageChanged()
        publish()
    }
}
