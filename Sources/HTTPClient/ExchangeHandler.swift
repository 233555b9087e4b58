import NIOCore
import NIOHTTP1
import NIOTLS

/// Carries out one exchange at a time on a connection, and reads from the socket no faster than the body is taken.
final class ExchangeHandler: ChannelDuplexHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundIn = Never
    typealias OutboundOut = HTTPClientRequestPart

    private enum State {
        /// The TLS handshake runs. -> idle, closed
        case securing
        /// No exchange runs. -> awaitingHead, closed
        case idle
        /// The request was sent. -> receiving, closed
        case awaitingHead(EventLoopPromise<HTTPResponseHead>)
        /// The body arrives or waits to be taken. -> idle, closed
        case receiving(Body)
        /// The connection failed or ended. Final.
        case closed(any Error)
    }

    /// The part of a body that has arrived and was not taken.
    private struct Body {
        /// Whether the server keeps the connection after this response.
        var isKeepAlive: Bool
        var pieces: [ByteBuffer] = []
        var size = 0
        /// How the body ended; `nil` while more is to come.
        var end: Result<Void, any Error>?
        /// Set only while no piece is there.
        var waiter: EventLoopPromise<[ByteBuffer]>?
    }

    /// The bytes not taken beyond which the handler stops to read. One read of the socket may exceed it.
    private static let maximumUntakenSize = 64 << 10

    let peer: String
    let eventLoop: any EventLoop
    private var state: State
    private var context: ChannelHandlerContext?
    private var handshake: EventLoopPromise<Void>?
    private var timer: Scheduled<Void>?
    private var isReadHeld = false

    /// - Parameter isSecured: Whether no TLS handshake comes first.
    init(peer: String, isSecured: Bool, eventLoop: any EventLoop) {
        self.peer = peer
        self.eventLoop = eventLoop
        state = isSecured ? .idle : .securing
    }

    // MARK: The client

    /// Whether the response is complete and the connection can carry another exchange.
    var isReusable: Bool {
        switch state {
        case .idle: return true
        case .receiving(let body):
            guard case .success = body.end, body.pieces.isEmpty else { return false }
            complete(body)
            return body.isKeepAlive
        case .securing, .awaitingHead, .closed: return false
        }
    }

    /// Completes when the TLS handshake does.
    func secured(_ deadline: Deadline) -> EventLoopFuture<Void> {
        switch state {
        case .securing:
            let promise = eventLoop.makePromise(of: Void.self)
            handshake = promise
            start(deadline)
            return promise.futureResult
        case .closed(let error): return eventLoop.makeFailedFuture(error)
        case .idle, .awaitingHead, .receiving: return eventLoop.makeSucceededVoidFuture()
        }
    }

    /// Sends a request.
    func send(
        _ head: HTTPRequestHead,
        _ body: [UInt8]?,
        _ deadline: Deadline
    ) -> EventLoopFuture<HTTPResponseHead> {
        guard case .idle = state, let context else {
            if case .closed(let error) = state { return eventLoop.makeFailedFuture(error) }
            return eventLoop.makeFailedFuture(HTTPClientError.closed(peer))
        }
        let promise = eventLoop.makePromise(of: HTTPResponseHead.self)
        state = .awaitingHead(promise)
        start(deadline)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if let body { context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: body)))), promise: nil) }
        let written = eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenFailure { [weak self] in self?.fail($0) }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: written)
        return promise.futureResult
    }

    /// Takes what has arrived of the body, or waits for it. Nothing stands for the end.
    func next(_ deadline: Deadline) -> EventLoopFuture<[ByteBuffer]> {
        guard case .receiving(var body) = state, body.waiter == nil else {
            if case .closed(let error) = state { return eventLoop.makeFailedFuture(error) }
            return eventLoop.makeSucceededFuture([])
        }
        // Bytes may be there each time, and only the whole request be late.
        guard !deadline.hasPassed else {
            fail(deadline.error)
            return eventLoop.makeFailedFuture(deadline.error)
        }
        let promise = eventLoop.makePromise(of: [ByteBuffer].self)
        body.waiter = promise
        state = .receiving(body)
        deliver()
        if case .receiving(let body) = state, body.waiter != nil { start(deadline) }
        return promise.futureResult
    }

    /// Ends the exchange of a task that was cancelled.
    func cancel() {
        fail(CancellationError())
    }

    // MARK: The connection

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        fail(HTTPClientError.closed(peer))
        self.context = nil
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted(_)? = event as? TLSUserEvent, case .securing = state {
            timer?.cancel()
            state = .idle
            handshake.take()?.succeed()
        }
        context.fireUserInboundEventTriggered(event)
    }

    func read(context: ChannelHandlerContext) {
        if case .receiving(let body) = state, body.end == nil, body.size >= Self.maximumUntakenSize {
            isReadHeld = true
        } else {
            context.read()
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch (unwrapInboundIn(data), state) {
        case (.head(let head), .awaitingHead(let promise)):
            timer?.cancel()
            state = .receiving(Body(isKeepAlive: head.isKeepAlive))
            promise.succeed(head)
        case (.body(let piece), .receiving(var body)) where body.end == nil:
            body.pieces.append(piece)
            body.size += piece.readableBytes
            state = .receiving(body)
            deliver()
        case (.end, .receiving(var body)) where body.end == nil:
            body.end = .success(())
            state = .receiving(body)
            deliver()
        default:
            // No request asked for this.
            fail(HTTPClientError.closed(peer))
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(HTTPClientError.closed(peer))
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(error)
    }

    // MARK: Transitions

    private func start(_ deadline: Deadline) {
        timer?.cancel()
        timer = eventLoop.assumeIsolated().scheduleTask(in: deadline.remaining) { [weak self] in
            self?.fail(deadline.error)
        }
    }

    /// Passes on what has arrived, if the client waits for it.
    private func deliver() {
        guard case .receiving(var body) = state, let waiter = body.waiter else { return }
        guard body.pieces.isEmpty else {
            timer?.cancel()
            let pieces = body.pieces
            (body.pieces, body.size, body.waiter) = ([], 0, nil)
            state = .receiving(body)
            waiter.succeed(pieces)
            readOn()
            return
        }
        switch body.end {
        case nil: break
        case .success:
            complete(body)
            waiter.succeed([])
        case .failure(let error):
            timer?.cancel()
            state = .closed(error)
            waiter.fail(error)
        }
    }

    private func readOn() {
        guard isReadHeld else { return }
        isReadHeld = false
        context?.read()
    }

    private func complete(_ body: Body) {
        timer?.cancel()
        if body.isKeepAlive, context?.channel.isActive == true {
            state = .idle
            readOn()
        } else {
            state = .closed(HTTPClientError.closed(peer))
            context?.close(promise: nil)
        }
    }

    /// Closes the connection. The client still gets what arrived before the error, unless its task was cancelled.
    private func fail(_ error: any Error) {
        let error = HTTPClientError.wrap(error, peer: peer)
        let channel = context?.channel
        switch state {
        case .closed: return
        case .idle: state = .closed(HTTPClientError.closed(peer))
        case .securing:
            state = .closed(error)
            handshake.take()?.fail(error)
        case .awaitingHead(let promise):
            state = .closed(error)
            promise.fail(error)
        case .receiving(var body):
            if body.end == nil {
                body.end = .failure(error)
                state = .receiving(body)
            }
            if error is CancellationError {
                state = .closed(error)
                body.waiter?.fail(error)
            } else {
                deliver()
            }
        }
        timer?.cancel()
        channel?.close(promise: nil)
    }
}
