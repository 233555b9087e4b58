import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import ServiceLifecycle

/// Serves `/metrics`.
struct MetricsServer: Service {
    let address: ListenAddress
    let group: MultiThreadedEventLoopGroup
    let sample: @Sendable () -> String
    let logger: Logger

    /// The address cannot be listened on.
    struct CannotListen: Error, CustomStringConvertible {
        let address: ListenAddress
        let reason: any Error

        var description: String {
            "cannot serve metrics on \(address): \(reason). Choose another --metrics-addr or stop what uses it."
        }
    }

    func run() async throws {
        let channel = try await listen()
        try? await gracefulShutdown()
        try await channel.close()
    }

    private func listen() async throws -> any Channel {
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 64)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { [sample] channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: true)
                    try channel.pipeline.syncOperations.addHandler(IdleStateHandler(allTimeout: .seconds(60)))
                    try channel.pipeline.syncOperations.addHandler(MetricsHandler(sample: sample))
                }
            }
        do {
            if let host = address.host { return try await bootstrap.bind(host: host, port: Int(address.port)).get() }
            return try await bootstrap.bind(host: NodeStore.hasIPv6 ? "::" : "0.0.0.0", port: Int(address.port)).get()
        } catch {
            throw CannotListen(address: address, reason: error)
        }
    }
}

/// Answers the requests on one connection.
private final class MetricsHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let sample: @Sendable () -> String
    private var head: HTTPRequestHead?

    init(sample: @escaping @Sendable () -> String) {
        self.sample = sample
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): self.head = head
        case .body: break
        case .end: answer(context)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent { context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func answer(_ context: ChannelHandlerContext) {
        guard let request = head.take() else { return }
        let isKnown = request.uri == "/metrics" || request.uri.hasPrefix("/metrics?")
        let isRead = request.method == .GET || request.method == .HEAD
        let status: HTTPResponseStatus = !isKnown ? .notFound : isRead ? .ok : .methodNotAllowed
        let body = ByteBuffer(string: status == .ok ? sample() : "\(status.code) \(status.reasonPhrase)\n")
        var head = HTTPResponseHead(version: .http1_1, status: status)
        head.headers.add(name: "Content-Type", value: "text/plain; version=0.0.4; charset=utf-8")
        head.headers.add(name: "Content-Length", value: "\(body.readableBytes)")
        if !request.isKeepAlive { head.headers.add(name: "Connection", value: "close") }
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if request.method != .HEAD { context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil) }
        let done = context.eventLoop.makePromise(of: Void.self)
        if !request.isKeepAlive {
            let channel = context.channel
            done.futureResult.whenComplete { _ in channel.close(promise: nil) }
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: done)
    }
}
