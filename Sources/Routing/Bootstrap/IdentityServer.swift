import LibP2P
import Listening
import Logging
import Multiformats
import NIOCore
import NIOHTTP1
import NIOPosix
import ServiceLifecycle

/// Tells at `/id` under which id and addresses this node's router is reached, for nodes that bootstrap over HTTP.
public struct IdentityServer: Service {
    private let address: SocketAddress
    private let group: any EventLoopGroup
    private let peer: @Sendable () -> (id: PeerID, addresses: [Multiaddr])

    /// The most connections at a time; others wait to be accepted.
    private static let maximumConnections = 64

    /// Makes a server for a host.
    public init(address: SocketAddress, host: Host, group: any EventLoopGroup) {
        self.init(address: address, group: group) { (host.peerID, host.listenAddresses) }
    }

    init(
        address: SocketAddress,
        group: any EventLoopGroup,
        peer: @escaping @Sendable () -> (id: PeerID, addresses: [Multiaddr])
    ) {
        self.address = address
        self.group = group
        self.peer = peer
    }

    /// The address cannot be listened on.
    struct CannotListen: Error, CustomStringConvertible {
        let address: SocketAddress
        let reason: any Error

        var description: String {
            "cannot serve /id on \(address): \(reason). Choose another --http-bootstrap-addr or stop what uses it."
        }
    }

    /// Serves until the service shuts down or the task is cancelled.
    public func run() async throws {
        let server = try await bind()
        try? await gracefulShutdown()
        try? await server.close()
    }

    /// Begins to listen.
    func bind() async throws -> any Channel {
        let connections = OpenConnections()
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 64)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([
                        AcceptPause(),
                        ConnectionLimiter(limit: Self.maximumConnections, connections: connections),
                    ])
                }
            }
            .childChannelInitializer { [peer] channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.configureHTTPServerPipeline(withErrorHandling: true)
                    try pipeline.addHandler(IdleStateHandler(allTimeout: .seconds(30)))
                    try pipeline.addHandler(IdentityHandler(peer: peer))
                }
            }
        do {
            return try await bootstrap.bind(to: address).get()
        } catch {
            throw CannotListen(address: address, reason: error)
        }
    }
}

/// Answers the requests on one connection.
private final class IdentityHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let peer: @Sendable () -> (id: PeerID, addresses: [Multiaddr])
    private var head: HTTPRequestHead?

    init(peer: @escaping @Sendable () -> (id: PeerID, addresses: [Multiaddr])) {
        self.peer = peer
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
        let path = request.uri.prefix { $0 != "?" }
        let isRead = request.method == .GET || request.method == .HEAD
        let status: HTTPResponseStatus = path != "/id" ? .notFound : isRead ? .ok : .methodNotAllowed
        var body = ByteBuffer()
        if status == .ok {
            let (id, addresses) = peer()
            let isArray = !request.uri.hasSuffix("?form=object")
            body.writeBytes(PeerDocument.json(id: id, addresses: addresses, isArray: isArray))
        }
        var head = HTTPResponseHead(version: .http1_1, status: status)
        head.headers.add(name: "Content-Type", value: "application/json")
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
