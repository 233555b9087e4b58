import Listening
import NIOCore
import NIOHTTP1

/// One client's connection in HTTP/1: takes its requests one after the other, has a ``Responder`` answer them, and
/// gives each state a deadline. It knows nothing of content.
///
/// While a request is being answered no more is read than what the next read brings, so a client cannot pile up work.
final class ClientConnection: ChannelInboundHandler, ExchangeConnection {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    /// The event that asks a connection to close as soon as its current answer is out.
    struct Drain: Sendable {}

    private enum State {
        /// No request has come since the last one. Goes to `receiving`, `responding`, `closed`.
        case idle
        /// The head of a request has come, not its end. Goes to `responding`, `closed`.
        case receiving(HTTPRequestHead, RequestFields, bodyBytes: Int)
        /// Goes to `idle`, `lingering`, `closed`.
        case responding(Exchange)
        /// The last answer is out and our side is shut; what still comes is thrown away, so that no unread byte makes
        /// the kernel send a reset that could overtake the answer. Goes to `closed`.
        case lingering
        case closed
    }

    private enum Inbound {
        case part(HTTPServerRequestPart)
        case malformed(HTTPResponseStatus)
    }

    private let responder: any Responder
    private let rules: ConnectionRules
    private let telemetry: LoopTelemetry
    private let timer: LazyTimer
    private var state = State.idle
    private var queue = CircularBuffer<Inbound>(initialCapacity: 4)
    private var isProcessingQueue = false
    /// Whether bytes of the next request's head have come.
    private var headHasBegun = false
    private var readBroughtParts = false
    private var requestCount = 0
    private var waitsSince = NIODeadline.now()
    /// Whether the connection is a reserved one: all others had a request when it came.
    private var isReserved = false
    private(set) var context: ChannelHandlerContext?

    init(responder: any Responder, rules: ConnectionRules, telemetry: LoopTelemetry, eventLoop: any EventLoop) {
        self.responder = responder
        self.rules = rules
        self.telemetry = telemetry
        timer = LazyTimer(eventLoop: eventLoop)
    }

    // MARK: Requests, one after the other

    private var acceptsParts: Bool {
        switch state {
        case .idle, .receiving: true
        case .responding, .lingering, .closed: false
        }
    }

    private func processQueue() {
        guard !isProcessingQueue else { return }
        isProcessingQueue = true
        defer { isProcessingQueue = false }
        while acceptsParts, let next = queue.popFirst() {
            switch next {
            case .part(let part): process(part)
            case .malformed(let status):
                let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: "")
                reject(head, status, "the request is malformed: \(status.reasonPhrase)")
            }
        }
    }

    private func process(_ part: HTTPServerRequestPart) {
        switch (part, state) {
        case (.head(let head), .idle):
            headHasBegun = false
            let fields = RequestFields(head.headers)
            state = .receiving(head, fields, bodyBytes: 0)
            timer.deadline = .now() + rules.requestTimeout
            if let expectation = fields.expectation { meet(expectation, of: head) }
        case (.body(let bytes), .receiving(let head, let fields, let count)):
            let total = count + bytes.readableBytes
            guard total <= ConnectionRules.maximumBodySize else {
                return reject(head, .payloadTooLarge, "requests to this registry have no body")
            }
            state = .receiving(head, fields, bodyBytes: total)
        case (.end, .receiving(let head, let fields, _)):
            // After an upgrade request the decoder takes nothing more.
            let keepsAlive = head.isKeepAlive && !fields.asksForUpgrade && head.method != .CONNECT
            let exchange = begin(head, keepsAlive: keepsAlive)
            guard !isReserved || !rules.isCrowded || exchange.request.handler != .content else {
                return exchange.send(.unavailable("all connections of this node are in use", key: head.uri), .busy)
            }
            responder.respond(to: head, fields, in: exchange)
        default: break
        }
    }

    /// RFC 9110, section 10.1.1.
    private func meet(_ expectation: String, of head: HTTPRequestHead) {
        guard head.version.minor >= 1 else { return }
        guard expectation.lowercased() == "100-continue" else {
            return reject(head, .expectationFailed, "only 100-continue can be expected")
        }
        let continuation = HTTPResponseHead(version: .http1_1, status: .continue)
        context?.writeAndFlush(wrapOutboundOut(.head(continuation)), promise: nil)
    }

    private func begin(_ head: HTTPRequestHead, keepsAlive: Bool) -> Exchange {
        requestCount += 1
        headHasBegun = false
        let method: RequestMethod =
            switch head.method {
            case .GET: .get
            case .HEAD: .head
            default: .other
            }
        let request = Exchange.Request(
            isHead: method == .head,
            isOldVersion: head.version.minor < 1,
            handler: RequestPlan.handler(of: head.uri),
            method: method,
            started: .now()
        )
        let exchange = Exchange(request, keepsAlive: keepsAlive, connection: self, telemetry: telemetry)
        state = .responding(exchange)
        timer.deadline = request.started + ConnectionRules.progressInterval
        return exchange
    }

    private func reject(_ head: HTTPRequestHead, _ status: HTTPResponseStatus, _ text: String) {
        begin(head, keepsAlive: false).send(.text(status, text), .rejected)
    }

    // MARK: ExchangeConnection

    var isDraining: Bool { rules.isDraining || rules.isCrowded }

    func checkProgress(within time: TimeAmount) {
        timer.deadline = .now() + time
    }

    func answered(keepsAlive: Bool) {
        guard case .responding = state else { return }
        guard keepsAlive else { return linger() }
        state = .idle
        waitsSince = .now()
        timer.deadline = waitsSince + (headHasBegun ? rules.requestTimeout : rules.idleTimeout)
        // Within the queue's own loop that goes on by itself.
        guard !isProcessingQueue else { return }
        processQueue()
        if acceptsParts { context?.read() }
    }

    private func linger() {
        guard let context else { return }
        state = .lingering
        queue.removeAll()
        waitsSince = .now()
        timer.deadline = waitsSince + ConnectionRules.lingerTimeout
        let promise = context.eventLoop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenFailure { _ in self.context?.close(promise: nil) }
        context.close(mode: .output, promise: promise)
        context.read()
    }

    private func deadlinePassed() {
        switch state {
        case .idle, .receiving, .lingering: context?.close(promise: nil)
        case .responding(let exchange): exchange.checkProgress(stallTimeout: rules.stallTimeout)
        case .closed: break
        }
    }

    /// When the connection began to wait for its client; `nil` while a request is being answered.
    var waitingSince: NIODeadline? {
        switch state {
        case .idle, .receiving, .lingering: waitsSince
        case .responding, .closed: nil
        }
    }

    /// The answer that is under way, if it is one with content.
    var liveTransfer: LiveTransfer? {
        guard case .responding(let exchange) = state else { return nil }
        let name = String(UInt(bitPattern: ObjectIdentifier(self).hashValue), radix: 36)
        return exchange.liveTransfer(id: "\(name)-\(requestCount)")
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
        guard !rules.isDraining else { return context.close(promise: nil) }
        responder.connected(context.channel)
        headHasBegun = true
        isReserved = rules.isCrowded
        waitsSince = .now()
        timer.deadline = waitsSince + rules.requestTimeout
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch state {
        case .lingering, .closed: return
        case .idle, .receiving, .responding: break
        }
        readBroughtParts = true
        guard queue.count < ConnectionRules.maximumQueuedParts else { return context.close(promise: nil) }
        queue.append(.part(unwrapInboundIn(data)))
        processQueue()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        defer { readBroughtParts = false }
        switch state {
        case .idle:
            // Bytes have come, but no whole head: from now on the head has a deadline.
            if !headHasBegun, !readBroughtParts {
                headHasBegun = true
                timer.deadline = .now() + rules.requestTimeout
            }
            context.read()
        case .receiving, .lingering: context.read()
        case .responding:
            if !readBroughtParts { headHasBegun = true }
            // To go on reading costs less than to stop and to begin again for each request. The queue bounds it.
            if queue.isEmpty { context.read() }
        case .closed: break
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard case .responding(let exchange) = state else { return }
        exchange.clientTakesBytes(context.channel.isWritable)
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
        let last = state
        state = .closed
        queue.removeAll()
        timer.stop()
        if case .responding(let exchange) = last { exchange.clientClosed() }
    }
}
