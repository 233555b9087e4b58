import Listening
import NIOCore
import NIOHTTP1
import Time

/// Answers the requests of one connection in turn, and closes it when a deadline passes.
final class ServerConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    /// The event that ends a response which goes on until its client leaves.
    struct EndStreams: Sendable {}

    /// The most bytes of a request's body that the server drops before it closes the connection.
    private static let maximumBodySize = 64 << 10

    private let configuration: HTTPServer.Configuration
    private let routes: HTTPServer.Routes
    private let connections: OpenConnections
    private let places: RequestPlaces
    private var context: ChannelHandlerContext?
    private var request = IncomingRequest()
    private var answer: Answer?
    /// The start of a response of which the client has not read all.
    private var sendingSince: MonotonicTime?
    /// Whether the connection closes after that response.
    private var isLeaving = false
    /// Whether the client has closed its side.
    private var isInputClosed = false
    /// The request that runs after that response.
    private var waiting: (head: HTTPRequestHead, form: [UInt8]?)?
    private var deadline: Scheduled<Void>?

    /// The request that arrives.
    private struct IncomingRequest {
        var head: HTTPRequestHead?
        var bodySize = 0
        /// The body so far, if it is a form within the limit.
        var form: [UInt8]?
    }

    /// The response in progress.
    private struct Answer {
        var task: Task<Void, Never>
        var isStreaming = false
        /// Whether it takes one of the places, which health checks do not.
        var hasPlace: Bool
    }

    init(
        configuration: HTTPServer.Configuration,
        routes: HTTPServer.Routes,
        connections: OpenConnections,
        places: RequestPlaces
    ) {
        self.configuration = configuration
        self.routes = routes
        self.connections = connections
        self.places = places
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        expect(within: configuration.requestTimeout)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        deadline?.cancel()
        endAnswer()
        self.context = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        connections.markIdle(context.channel)
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        endAnswer()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            request = IncomingRequest(head: head, form: head.isForm ? [] : nil)
            if sendingSince == nil { expect(within: configuration.requestTimeout) }
            if let expectation = head.expectation { meet(expectation, of: head, context) }
        case .body(let bytes):
            request.bodySize += bytes.readableBytes
            if request.bodySize > Self.maximumBodySize { context.close(promise: nil) }
            if request.bodySize > ServerRequest.maximumFormLength { request.form = nil }
            request.form?.append(contentsOf: bytes.readableBytesView)
        case .end:
            guard let head = request.head.take() else { return }
            let form = request.form.take()
            // The responses of a client that sends requests without reading would fill the memory.
            if sendingSince == nil { answer(head, form, context) } else { waiting = (head, form) }
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is EndStreams:
            if answer?.isStreaming == true { context.close(promise: nil) }
        case is OpenConnections.GiveWay: giveWay(context)
        case ChannelEvent.inputClosed: inputClosed(context)
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error {
        // The connection ended within a request: there is no reader for a response.
        case HTTPParserError.invalidEOFState: break
        case is HTTPParserError where answer == nil && sendingSince == nil:
            let headers: HTTPHeaders = ["Connection": "close", "Content-Length": "0"]
            let head = HTTPResponseHead(version: .http1_1, status: .badRequest, headers: headers)
            context.write(wrapOutboundOut(.head(head)), promise: nil)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        default: break
        }
        context.close(promise: nil)
    }

    /// RFC 9110, section 10.1.1: a client that expects it sends its body after an interim response.
    private func meet(_ expectation: String, of head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        guard expectation.lowercased() == "100-continue" else {
            request.head = nil
            guard sendingSince == nil else { return context.close(promise: nil) }
            var last = head
            last.headers.replaceOrAdd(name: "Connection", value: "close")
            return send(.text("only 100-continue can be expected", status: 417), to: last)
        }
        let interim = HTTPResponseHead(version: .http1_1, status: .continue)
        context.writeAndFlush(wrapOutboundOut(.head(interim)), promise: nil)
    }

    /// The client sends no more. It gets the response to what it has sent, unless that takes long: then it has left.
    private func inputClosed(_ context: ChannelHandlerContext) {
        isInputClosed = true
        if let answer {
            if answer.isStreaming { return context.close(promise: nil) }
            expect(within: configuration.halfClosedTimeout)
        } else if sendingSince == nil {
            context.close(promise: nil)
        }
    }

    /// Closes the connection for a new one, unless it has a request.
    private func giveWay(_ context: ChannelHandlerContext) {
        if answer != nil {
            connections.makeRoom()
        } else if let sendingSince {
            isLeaving = true
            expect(within: max(.zero, configuration.leavingTimeout - (MonotonicTime.now - sendingSince)))
        } else {
            context.close(promise: nil)
        }
    }

    /// Closes the connection after a time, unless the next call comes first.
    private func expect(within duration: Duration) {
        deadline?.cancel()
        guard let context else { return }
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(duration)) { [weak self] in
            self?.context?.close(promise: nil)
        }
    }

    // MARK: Responses

    private func answer(_ head: HTTPRequestHead, _ form: [UInt8]?, _ context: ChannelHandlerContext) {
        expect(within: isInputClosed ? configuration.halfClosedTimeout : configuration.responseTimeout)
        guard head.hasHost else {
            return send(.text("a request has exactly one Host header", status: 400), to: head)
        }
        guard let request = ServerRequest(head, form: form, address: context.channel.remoteAddress) else {
            return send(.text("the target is too long", status: 414), to: head)
        }
        switch routes.handler(head.method, request.path) {
        case .handler(let handler, let isHealthCheck):
            guard isHealthCheck || places.take() else {
                var response = ServerResponse.text("busy", status: 503)
                response.fields.append(("Retry-After", "1"))
                return send(response, to: head)
            }
            connections.markBusy(context.channel)
            run(handler, request, head, hasPlace: !isHealthCheck, context)
        case .absent: send(.text("there is nothing here", status: 404), to: head)
        case .notAllowed(let methods):
            var response = ServerResponse.text("only \(methods) is answered here", status: 405)
            response.fields.append(("Allow", methods))
            send(response, to: head)
        }
    }

    private func run(
        _ handler: @escaping HTTPServer.Handler,
        _ request: ServerRequest,
        _ head: HTTPRequestHead,
        hasPlace: Bool,
        _ context: ChannelHandlerContext
    ) {
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        let eventLoop = context.eventLoop
        let task = Task {
            let response = await handler(request)
            guard case .stream(let write) = response.body, head.method != .HEAD else {
                return eventLoop.execute { bound.value.finish(response, to: head) }
            }
            eventLoop.execute { bound.value.beginStream(response, to: head) }
            try? await write(ServerStream(connection: bound, eventLoop: eventLoop))
            eventLoop.execute { bound.value.endStream() }
        }
        answer = Answer(task: task, hasPlace: hasPlace)
    }

    private func finish(_ response: ServerResponse, to head: HTTPRequestHead) {
        guard let context, answer != nil else { return }
        endAnswer()
        send(response, to: head)
        // Sending may have begun the next request.
        if answer == nil { connections.markIdle(context.channel) }
    }

    private func endAnswer() {
        guard let answer = answer.take() else { return }
        answer.task.cancel()
        if answer.hasPlace { places.release() }
    }

    private func responseHead(_ response: ServerResponse) -> HTTPResponseHead {
        var head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: response.status))
        head.headers.add(name: "Content-Type", value: response.contentType)
        head.headers.add(name: "Cache-Control", value: "no-store")
        head.headers.add(name: "X-Content-Type-Options", value: "nosniff")
        for field in response.fields { head.headers.add(name: field.name, value: field.value) }
        return head
    }

    private func send(_ response: ServerResponse, to request: HTTPRequestHead) {
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
        sendingSince = .now
        let sent = context.eventLoop.makePromise(of: Void.self)
        sent.futureResult.assumeIsolated().whenComplete { [weak self] _ in
            self?.finishSending(isKeepAlive: request.isKeepAlive)
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: sent)
    }

    private func finishSending(isKeepAlive: Bool) {
        sendingSince = nil
        guard let context else { return }
        if !isKeepAlive || isLeaving {
            context.close(promise: nil)
        } else if let (head, form) = waiting.take() {
            answer(head, form, context)
        } else if isInputClosed {
            context.close(promise: nil)
        } else {
            expect(within: request.head == nil ? configuration.idleTimeout : configuration.requestTimeout)
        }
    }

    // MARK: Streams

    private func beginStream(_ response: ServerResponse, to request: HTTPRequestHead) {
        guard let context, answer != nil else { return }
        answer?.isStreaming = true
        var head = responseHead(response)
        // An HTTP/1.0 client reads to the end of the connection.
        head.version = request.version
        head.headers.add(name: "Connection", value: "close")
        context.writeAndFlush(wrapOutboundOut(.head(head)), promise: nil)
    }

    /// Sends a piece of a stream. The server closes the connection of a client that does not read it in time.
    func sendPiece(_ text: String, on eventLoop: any EventLoop) -> EventLoopFuture<Void> {
        guard let context, answer?.isStreaming == true else {
            return eventLoop.makeFailedFuture(ChannelError.ioOnClosedChannel)
        }
        expect(within: configuration.responseTimeout)
        let promise = context.eventLoop.makePromise(of: Void.self)
        let bytes = context.channel.allocator.buffer(string: text)
        context.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(bytes))), promise: promise)
        // The time between two pieces has no limit.
        promise.futureResult.assumeIsolated().whenSuccess { [weak self] in self?.deadline?.cancel() }
        return promise.futureResult
    }

    private func endStream() {
        guard let context, answer?.isStreaming == true else { return }
        expect(within: configuration.responseTimeout)
        let promise = context.eventLoop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenComplete { [weak self] _ in self?.context?.close(promise: nil) }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: promise)
    }
}
