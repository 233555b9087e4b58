import NIOCore
import NIOHTTP1

/// Answers the requests on one connection, which come one after the other, and closes it when something takes too long.
final class MonitoringConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    /// The most bytes of a request's body that are thrown away before the connection is closed.
    private static let maximumBodySize = 64 << 10

    private let configuration: MonitoringServer.Configuration
    private let routes: [String: MonitoringServer.Handler]
    private var context: ChannelHandlerContext?
    private var head: HTTPRequestHead?
    private var bodySize = 0
    private var task: Task<Void, Never>?
    private var deadline: Scheduled<Void>?

    init(configuration: MonitoringServer.Configuration, routes: [String: MonitoringServer.Handler]) {
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
            expect(within: configuration.requestTimeout)
        case .body(let bytes):
            bodySize += bytes.readableBytes
            if bodySize > Self.maximumBodySize { context.close(promise: nil) }
        case .end:
            guard let head = head.take() else { return }
            expect(within: configuration.responseTimeout)
            answer(head, context)
        }
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
        guard head.method == .GET || head.method == .HEAD else {
            return send(.text("only GET and HEAD are answered here", status: 405), to: head)
        }
        guard head.uri.utf8.count <= MonitoringRequest.maximumTargetLength else {
            return send(.text("the target is too long", status: 414), to: head)
        }
        let request = MonitoringRequest(target: head.uri)
        guard let handler = routes[request.path] else {
            return send(.text("there is nothing here", status: 404), to: head)
        }
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        let eventLoop = context.eventLoop
        task = Task {
            let response = await handler(request)
            eventLoop.execute {
                bound.value.task = nil
                bound.value.send(response, to: head)
            }
        }
    }

    private func send(_ response: MonitoringResponse, to request: HTTPRequestHead) {
        guard let context else { return }
        let body = context.channel.allocator.buffer(string: response.body)
        var head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: response.status))
        head.headers.add(name: "Content-Type", value: response.contentType)
        head.headers.add(name: "Content-Length", value: String(body.readableBytes))
        head.headers.add(name: "Cache-Control", value: "no-store")
        if response.status == 405 { head.headers.add(name: "Allow", value: "GET, HEAD") }
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
}
