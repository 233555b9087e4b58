import NIOCore
import NIOHTTP1

/// Answers the requests on one connection, which come one after the other, and closes it when something takes too long.
final class MonitoringConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    /// The event that ends an answer which would go on for as long as its client listens.
    struct EndStreams: Sendable {}

    /// The most bytes of a request's body that are thrown away before the connection is closed.
    private static let maximumBodySize = 64 << 10

    private let configuration: MonitoringServer.Configuration
    private let routes: MonitoringServer.Routes
    private var context: ChannelHandlerContext?
    private var head: HTTPRequestHead?
    private var bodySize = 0
    /// The body so far, where it is a form of a length that is read.
    private var form: [UInt8]?
    private var isStreaming = false
    private var task: Task<Void, Never>?
    private var deadline: Scheduled<Void>?

    init(configuration: MonitoringServer.Configuration, routes: MonitoringServer.Routes) {
        self.configuration = configuration
        self.routes = routes
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        expect(within: configuration.requestTimeout)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        deadline?.cancel()
        task?.cancel()
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        task?.cancel()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            bodySize = 0
            form = head.isForm ? [] : nil
            expect(within: configuration.requestTimeout)
        case .body(let bytes):
            bodySize += bytes.readableBytes
            if bodySize > Self.maximumBodySize { context.close(promise: nil) }
            if bodySize > MonitoringRequest.maximumFormLength { form = nil }
            form?.append(contentsOf: bytes.readableBytesView)
        case .end:
            guard let head = head.take() else { return }
            expect(within: configuration.responseTimeout)
            answer(head, context)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard event is EndStreams else { return context.fireUserInboundEventTriggered(event) }
        if isStreaming { context.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    /// Closes the connection unless something is expected anew before.
    private func expect(within duration: Duration) {
        deadline?.cancel()
        guard let context else { return }
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(duration)) { [weak self] in
            self?.context?.close(promise: nil)
        }
    }

    private func answer(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        guard let request = MonitoringRequest(head, form: form.take()) else {
            return send(.text("the target is too long", status: 414), to: head)
        }
        let handler: MonitoringServer.Handler
        switch routes.handler(head.method, request.path) {
        case .handler(let found): handler = found
        case .absent: return send(.text("there is nothing here", status: 404), to: head)
        case .notAllowed(let methods):
            var response = MonitoringResponse.text("only \(methods) is answered here", status: 405)
            response.fields.append(("Allow", methods))
            return send(response, to: head)
        }
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        let eventLoop = context.eventLoop
        task = Task {
            let response = await handler(request)
            guard case .stream(let write) = response.body, head.method != .HEAD else {
                return eventLoop.execute {
                    bound.value.task = nil
                    bound.value.send(response, to: head)
                }
            }
            eventLoop.execute { bound.value.beginStream(response, to: head) }
            try? await write(MonitoringStream(connection: bound, eventLoop: eventLoop))
            eventLoop.execute { bound.value.endStream() }
        }
    }

    private func responseHead(_ response: MonitoringResponse) -> HTTPResponseHead {
        var head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: response.status))
        head.headers.add(name: "Content-Type", value: response.contentType)
        head.headers.add(name: "Cache-Control", value: "no-store")
        head.headers.add(name: "X-Content-Type-Options", value: "nosniff")
        for field in response.fields { head.headers.add(name: field.name, value: field.value) }
        return head
    }

    private func send(_ response: MonitoringResponse, to request: HTTPRequestHead) {
        guard let context else { return }
        var head = responseHead(response)
        var body = ByteBuffer()
        if case .text(let text) = response.body {
            body.writeString(text)
            head.headers.add(name: "Content-Length", value: String(body.readableBytes))
        }
        if !request.isKeepAlive { head.headers.add(name: "Connection", value: "close") }
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if request.method != .HEAD { context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil) }
        let sent = context.eventLoop.makePromise(of: Void.self)
        sent.futureResult.assumeIsolated().whenComplete { [weak self] _ in
            guard let self else { return }
            if request.isKeepAlive {
                expect(within: configuration.idleTimeout)
            } else {
                self.context?.close(promise: nil)
            }
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: sent)
    }

    // MARK: Streams

    private func beginStream(_ response: MonitoringResponse, to request: HTTPRequestHead) {
        guard let context else { return }
        isStreaming = true
        var head = responseHead(response)
        // An older client reads to the end of the connection.
        head.version = request.version
        head.headers.add(name: "Connection", value: "close")
        context.writeAndFlush(wrapOutboundOut(.head(head)), promise: nil)
    }

    /// Sends a piece of a stream; a client that does not take it in time is let go.
    func sendPiece(_ text: String, on eventLoop: any EventLoop) -> EventLoopFuture<Void> {
        guard let context, isStreaming else {
            return eventLoop.makeFailedFuture(ChannelError.ioOnClosedChannel)
        }
        expect(within: configuration.responseTimeout)
        let promise = context.eventLoop.makePromise(of: Void.self)
        let bytes = context.channel.allocator.buffer(string: text)
        context.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(bytes))), promise: promise)
        // Between two pieces there may be any time.
        promise.futureResult.assumeIsolated().whenSuccess { [weak self] in self?.deadline?.cancel() }
        return promise.futureResult
    }

    private func endStream() {
        task = nil
        guard let context, isStreaming else { return }
        expect(within: configuration.responseTimeout)
        let promise = context.eventLoop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenComplete { [weak self] _ in self?.context?.close(promise: nil) }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: promise)
    }
}
