import NIOCore
import NIOHTTP1
import NIOTLS

/// One request and the promise of its response.
struct Exchange: Sendable {
    let request: HTTPRequest
    let response: EventLoopPromise<Answer>

    /// A response, and whether the connection can carry another exchange.
    struct Answer: Sendable {
        var response: HTTPResponse
        var isReusable: Bool
    }
}

/// Carries out one exchange at a time on a connection.
final class ExchangeHandler: ChannelDuplexHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundIn = Exchange
    typealias OutboundOut = HTTPClientRequestPart

    private let peer: String
    private let limit: Int
    /// Completed when requests can be sent, or with the reason why they never can.
    private let secured: EventLoopPromise<Void>
    private var exchange: Exchange?
    private var head: HTTPResponseHead?
    private var body: [UInt8] = []

    init(peer: String, limit: Int, secured: EventLoopPromise<Void>) {
        self.peer = peer
        self.limit = limit
        self.secured = secured
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted(_)? = event as? TLSUserEvent { secured.succeed() }
        context.fireUserInboundEventTriggered(event)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        secured.fail(HTTPClientError.closed(peer))
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let exchange = unwrapOutboundIn(data)
        guard self.exchange == nil else {
            exchange.response.fail(HTTPClientError.closed(peer))
            promise?.fail(HTTPClientError.closed(peer))
            return
        }
        self.exchange = exchange
        var head = HTTPRequestHead(
            version: .http1_1,
            method: HTTPMethod(rawValue: exchange.request.method),
            uri: exchange.request.path
        )
        head.headers.add(name: "Host", value: peer)
        for (name, value) in exchange.request.fields { head.headers.add(name: name, value: value) }
        if let body = exchange.request.body { head.headers.add(name: "Content-Length", value: "\(body.count)") }
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if let body = exchange.request.body {
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: body)))), promise: nil)
        }
        context.write(wrapOutboundOut(.end(nil)), promise: promise)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard exchange != nil else {
            // Nobody asked.
            context.close(promise: nil)
            return
        }
        switch unwrapInboundIn(data) {
        case .head(let head):
            // 100 Continue and the like are followed by the response itself.
            if head.status.code >= 200 { self.head = head }
        case .body(let part):
            guard body.count + part.readableBytes <= limit else {
                fail(HTTPClientError.tooLong(peer, limit: limit), context)
                return
            }
            body.append(contentsOf: part.readableBytesView)
        case .end:
            guard let head = head.take(), let exchange = exchange.take() else { return }
            let response = HTTPResponse(status: Int(head.status.code), body: body)
            body = []
            exchange.response.succeed(Exchange.Answer(response: response, isReusable: head.isKeepAlive))
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(HTTPClientError.closed(peer), context)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(HTTPClientError.wrap(error, peer: peer), context)
    }

    private func fail(_ error: any Error, _ context: ChannelHandlerContext) {
        secured.fail(error)
        exchange.take()?.response.fail(error)
        context.close(promise: nil)
    }
}
