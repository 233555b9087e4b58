import ContentStore
import Logging
import NIOCore
import NIOHTTP1
import OCI
import Synchronization

/// One client's connection: takes its requests one after the other, has them answered, and sees to it that nothing on
/// it lasts for ever. While a request is being answered nothing is read, so a client cannot pile up work.
final class RegistryConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    /// The event that asks a connection to close as soon as its current answer is out.
    struct Drain: Sendable {}

    /// The most bytes that are read at a time, which bounds the requests that are waiting.
    static let maximumReadSize = 16 << 10
    /// The most parts of requests that wait while one is being answered; a single read cannot hold more.
    static let maximumQueuedParts = 4096
    /// The most bytes of a request's body that are read, only to be thrown away.
    static let maximumBodySize = 1 << 20
    /// How long a client may take to close after the last answer was sent.
    static let lingerTimeout = TimeAmount.seconds(2)
    /// How often it is looked whether an answer makes progress.
    static let progressInterval = TimeAmount.seconds(1)
    /// How often that is looked while a file is sent, which may be cut short meanwhile.
    static let fileProgressInterval = TimeAmount.milliseconds(100)

    private enum State {
        case idle
        case receiving(HTTPRequestHead, bodyBytes: Int)
        case responding
        /// The last answer is out and our side is shut; what still comes is thrown away, so that no unread byte makes
        /// the kernel send a reset that could overtake the answer.
        case lingering
        case closed
    }

    private enum Inbound {
        case part(HTTPServerRequestPart)
        case malformed(HTTPResponseStatus)
    }

    let services: RegistryServices
    let loop: RegistryLoop
    let eventLoop: any EventLoop
    private let timer: LazyTimer
    private var state = State.idle
    private var queue = CircularBuffer<Inbound>(initialCapacity: 4)
    private var isProcessingQueue = false
    private var headHasBegun = false
    private var readBroughtParts = false
    private var lastExchangeID = 0

    /// Whether the client's address is allowed; looked up once.
    private var isAllowed = true

    /// Whether another node was seen to ask.
    private var isPeer = false

    private(set) var context: ChannelHandlerContext?
    /// The request that is being answered.
    var exchange: Exchange?

    init(services: RegistryServices, loop: RegistryLoop, eventLoop: any EventLoop) {
        self.services = services
        self.loop = loop
        self.eventLoop = eventLoop
        timer = LazyTimer(eventLoop: eventLoop)
    }

    /// The client is another node.
    func notePeer() {
        guard !isPeer, let context else { return }
        isPeer = true
        services.congestionControl.isOfPeer(context.channel)
    }

    // MARK: Requests, one after the other

    private func processQueue() {
        guard !isProcessingQueue else { return }
        isProcessingQueue = true
        defer { isProcessingQueue = false }
        while acceptsParts, let next = queue.popFirst() {
            switch next {
            case .part(let part): process(part)
            case .malformed(let status):
                begin(HTTPRequestHead(version: .http1_1, method: .GET, uri: ""), keepsAlive: false)
                answer(.reject(status, "the request is malformed: \(status.reasonPhrase)"))
            }
        }
    }

    private var acceptsParts: Bool {
        switch state {
        case .idle, .receiving: true
        case .responding, .lingering, .closed: false
        }
    }

    private func process(_ part: HTTPServerRequestPart) {
        switch (part, state) {
        case (.head(let head), .idle):
            headHasBegun = false
            state = .receiving(head, bodyBytes: 0)
            timer.deadline = .now() + TimeAmount(services.configuration.requestTimeout)
            meetExpectation(of: head)
        case (.body(let bytes), .receiving(let head, let count)):
            let total = count + bytes.readableBytes
            guard total <= Self.maximumBodySize else {
                begin(head, keepsAlive: false)
                return answer(.reject(.payloadTooLarge, "requests to this registry have no body"))
            }
            state = .receiving(head, bodyBytes: total)
        case (.end, .receiving(let head, _)):
            // After an upgrade request the decoder takes nothing more.
            let canContinue = head.isKeepAlive && !head.headers.contains(name: "Upgrade") && head.method != .CONNECT
            let plan = RequestPlan(head, configuration: services.configuration, rights: rights(of: head))
            begin(head, keepsAlive: canContinue && !plan.isRefusal)
            answer(plan)
        default: break
        }
    }

    private func rights(of head: HTTPRequestHead) -> ClientRights {
        guard isAllowed else { return .wrongAddress }
        guard let authentication = services.configuration.authentication else { return .all }
        return authentication.accepts(head.headers.first(name: "Authorization")) ? .all : .wrongCredentials
    }

    /// RFC 9110, section 10.1.1.
    private func meetExpectation(of head: HTTPRequestHead) {
        guard head.version.minor >= 1, let expectation = head.headers.first(name: "Expect") else { return }
        guard expectation.lowercased() == "100-continue" else {
            begin(head, keepsAlive: false)
            return answer(.reject(.expectationFailed, "only 100-continue can be expected"))
        }
        let continuation = HTTPResponseHead(version: .http1_1, status: .continue)
        context?.writeAndFlush(wrapOutboundOut(.head(continuation)), promise: nil)
    }

    private func begin(_ head: HTTPRequestHead, keepsAlive: Bool) {
        lastExchangeID += 1
        state = .responding
        let exchange = Exchange(id: lastExchangeID, head: head, keepsAlive: keepsAlive, started: .now())
        self.exchange = exchange
        services.metrics.changeRequestsInFlight(by: 1)
        services.counters.changeInFlight(exchange.handler, by: 1)
        timer.deadline = .now() + Self.progressInterval
    }

    // MARK: Answers

    /// Writes the head of the answer.
    func send(_ head: HTTPResponseHead) {
        guard let context, exchange != nil else { return }
        var head = head
        if services.isDraining.load(ordering: .relaxed) { exchange?.keepsAlive = false }
        if exchange?.keepsAlive == false {
            head.headers.add(name: "Connection", value: "close")
        } else if exchange?.isOldVersion == true {
            head.headers.add(name: "Connection", value: "keep-alive")
        }
        exchange?.status = Int(head.status.code)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
    }

    /// Writes a part of the body.
    func send(_ body: IOData, promise: EventLoopPromise<Void>? = nil) {
        guard let context, exchange != nil else {
            promise?.fail(ChannelError.alreadyClosed)
            return
        }
        exchange?.enqueuedBytes += Int64(body.readableBytes)
        context.write(wrapOutboundOut(.body(body)), promise: promise)
    }

    /// Ends the answer. The next request is taken once all bytes of this one have left.
    func finish(_ outcome: RegistryMetrics.Outcome?) {
        guard let context, let id = exchange?.id else { return }
        exchange?.outcome = outcome
        let promise = context.eventLoop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenComplete { result in
            self.answered(id, result: result)
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: promise)
    }

    private func answered(_ id: Exchange.ID, result: Result<Void, any Error>) {
        guard case .responding = state, let exchange, exchange.id == id else { return }
        guard case .success = result else {
            context?.close(promise: nil)
            return
        }
        settle(exchange, outcome: exchange.outcome)
        if exchange.keepsAlive, !services.isDraining.load(ordering: .relaxed) {
            state = .idle
            headHasBegun = false
            timer.deadline = .now() + TimeAmount(services.configuration.idleTimeout)
            processQueue()
            if acceptsParts { context?.read() }
        } else {
            linger()
        }
    }

    func settle(_ settled: Exchange, outcome: RegistryMetrics.Outcome?) {
        exchange = nil
        settled.turnTimeout?.cancel()
        if let pass = settled.pass { services.uploads.leave(pass) }
        services.metrics.changeRequestsInFlight(by: -1)
        if let outcome { services.metrics.count(outcome) }
        if settled.isLocal, services.logger.logLevel <= .debug {
            services.logger.debug(
                "answered from the store",
                metadata: [
                    "key": "\(settled.content?.key ?? "")", "status": "\(settled.status)",
                    "bytes": "\(settled.enqueuedBytes)", "outcome": "\(outcome?.rawValue ?? "")",
                ]
            )
        }
        let bytes = outcome == .aborted ? max(0, settled.lastProgress) : settled.enqueuedBytes
        if settled.isLocal { services.metrics.addLocalBytes(Int(clamping: bytes)) }
        count(settled, bytes: bytes)
    }

    private func linger() {
        guard let context else { return }
        state = .lingering
        queue.removeAll()
        timer.deadline = .now() + Self.lingerTimeout
        let promise = context.eventLoop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenFailure { _ in self.context?.close(promise: nil) }
        context.close(mode: .output, promise: promise)
        context.read()
    }

    // MARK: Deadlines

    /// Has it looked often whether a file that is sent was cut short.
    func watchFile() {
        timer.deadline = .now() + Self.fileProgressInterval
    }

    private func deadlinePassed() {
        switch state {
        case .idle, .receiving, .lingering: context?.close(promise: nil)
        case .responding: checkProgress()
        case .closed: break
        }
    }

    private func checkProgress() {
        guard let context, var exchange else { return }
        let now = NIODeadline.now()
        timer.deadline = now + (exchange.file == nil ? Self.progressInterval : Self.fileProgressInterval)
        let buffered = Int64((try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0)
        let progress = exchange.enqueuedBytes + (exchange.mirror?.splicedBytes ?? 0) - buffered
        if progress != exchange.lastProgress {
            exchange.lastProgress = progress
            exchange.lastProgressAt = now
            self.exchange = exchange
            return
        }
        // What takes so long for another client need not do so for this one.
        guard exchange.following == nil else { return stopFollowing() }
        let idle = now - exchange.lastProgressAt
        if idle >= TimeAmount(services.configuration.stallTimeout) {
            services.logger.info("closing a connection that has stalled", metadata: ["bytes": "\(progress)"])
            context.close(promise: nil)
        } else if let file = exchange.file, buffered > 0, file.hasShrunk {
            // sendfile would find nothing to send for ever.
            services.logger.error(
                "a file in the content store was cut short while it was served",
                metadata: ["key": "\(exchange.content?.key ?? "")", "path": "\(file.file.path)"]
            )
            services.recheck(file.digest)
            endEarly()
        } else if exchange.reader != nil, !exchange.awaitsCheck, buffered <= 0,
            idle >= TimeAmount(services.configuration.progressTimeout)
        {
            readerStalled()
        }
    }

    // MARK: ChannelInboundHandler

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        timer.onDeadline = { [weak self] in self?.deadlinePassed() }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer.stop()
        self.context = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        guard !services.isDraining.load(ordering: .relaxed) else { return context.close(promise: nil) }
        if let access = services.configuration.access { isAllowed = access.allows(context.remoteAddress) }
        headHasBegun = true
        timer.deadline = .now() + TimeAmount(services.configuration.requestTimeout)
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch state {
        case .lingering, .closed: return
        case .idle, .receiving, .responding: break
        }
        readBroughtParts = true
        guard queue.count < Self.maximumQueuedParts else { return context.close(promise: nil) }
        queue.append(.part(unwrapInboundIn(data)))
        processQueue()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        defer { readBroughtParts = false }
        switch state {
        case .idle:
            // Bytes have come, but no whole head: from now on it must not dawdle.
            if !headHasBegun, !readBroughtParts {
                headHasBegun = true
                timer.deadline = .now() + TimeAmount(services.configuration.requestTimeout)
            }
            context.read()
        case .receiving, .lingering: context.read()
        case .responding, .closed: break
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        exchange?.mirror?.clientTakesBytes(context.channel.isWritable)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard event is Drain else { return context.fireUserInboundEventTriggered(event) }
        if case .idle = state { context.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error {
        case HTTPParserError.invalidEOFState: context.close(promise: nil)
        case let error as HTTPParserError:
            queue.append(.malformed(error == .headerOverflow ? .requestHeaderFieldsTooLarge : .badRequest))
            processQueue()
        default: context.close(promise: nil)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        state = .closed
        queue.removeAll()
        timer.stop()
        guard let exchange else { return }
        // The client may have gone because it has all. Where the kernel sends, it is asked first how far it has come.
        if let mirror = exchange.mirror, mirror.clientClosedWhileSpliced() { return }
        settle(exchange, outcome: exchange.content == nil ? nil : .aborted)
        exchange.reader?.cancel()
        exchange.mirror?.clientClosed()
    }

    /// Settles an answer that has ended after the client's connection had.
    ///
    /// - Returns: whether the connection is closed.
    func settleIfClosed(isComplete: Bool) -> Bool {
        guard case .closed = state else { return false }
        if let exchange { settle(exchange, outcome: isComplete ? .mirrored : .aborted) }
        return true
    }
}
