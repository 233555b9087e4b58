import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization

/// An HTTP server on loopback with a behaviour that tests choose.
final class TestServer: Sendable {
    enum Behaviour: Sendable {
        /// Answers with the method, the path and the body of the request.
        case echo
        /// Answers with this number of bytes.
        case bytes(Int)
        /// Says nothing.
        case silent
        /// Closes the connection at once.
        case close
        /// Answers and closes a moment later, without having said so.
        case closeAfterwards
        /// Sends what is no HTTP.
        case noise
        /// Announces 1000 bytes, sends some, and then nothing.
        case stall(after: Int)
        /// Announces 1000 bytes, sends some, and closes the connection.
        case cutShort(after: Int)
        /// Sends a body without end, as fast as the client reads.
        case endless
        /// Sends a head with more fields than a client accepts.
        case manyFields
    }

    let behaviour = Mutex(Behaviour.echo)
    let connections = Mutex(0)
    /// The bytes of endless bodies that have left.
    let sentBytes = Mutex(0)
    /// The connections that the client closed.
    let closedConnections = Mutex(0)
    private let channel: any Channel

    var port: UInt16 { UInt16(channel.localAddress?.port ?? 0) }

    /// - Parameter tls: The certificate and key of an `https` server.
    static func start(tls: TestCertificate? = nil) async throws -> TestServer {
        let context = try tls.map { try NIOSSLContext(configuration: $0.serverConfiguration()) }
        let holder = Holder()
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let server = holder.server else { throw ChannelError.eof }
                    server.connections.withLock { $0 += 1 }
                    if let context {
                        try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context))
                    }
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(Handler(server: server))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let server = TestServer(channel)
        holder.set(server)
        return server
    }

    private init(_ channel: any Channel) {
        self.channel = channel
    }

    func stop() async {
        try? await channel.close()
    }

    private final class Holder: Sendable {
        private let box = Mutex<TestServer?>(nil)
        var server: TestServer? { box.withLock { $0 } }
        func set(_ server: TestServer) { box.withLock { $0 = server } }
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart

        private let server: TestServer
        private var text = ""

        init(server: TestServer) {
            self.server = server
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head): text = "\(head.method) \(head.uri) "
            case .body(let body): text += String(buffer: body)
            case .end: answer(context)
            }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) {
            server.closedConnections.withLock { $0 += 1 }
        }

        private func sendEndlessly(_ context: ChannelHandlerContext) {
            let size = 64 << 10
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            let sent = context.eventLoop.makePromise(of: Void.self)
            sent.futureResult.whenSuccess {
                let (handler, context) = bound.value
                handler.server.sentBytes.withLock { $0 += size }
                context.eventLoop.execute { bound.value.0.sendEndlessly(bound.value.1) }
            }
            context.writeAndFlush(
                wrapOutboundOut(.body(.byteBuffer(ByteBuffer(repeating: 0x61, count: size)))),
                promise: sent
            )
        }

        /// Sends a head that announces more than follows.
        private func sendPart(_ count: Int, thenClose closes: Bool, _ context: ChannelHandlerContext) {
            let fields = HTTPHeaders([("Content-Length", "1000")])
            context.write(
                wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .ok, headers: fields))),
                promise: nil
            )
            let sent = context.eventLoop.makePromise(of: Void.self)
            let channel = context.channel
            if closes { sent.futureResult.whenComplete { _ in channel.close(promise: nil) } }
            context.writeAndFlush(
                wrapOutboundOut(.body(.byteBuffer(ByteBuffer(repeating: 0x61, count: count)))),
                promise: sent
            )
        }

        private func answer(_ context: ChannelHandlerContext) {
            var body = ByteBuffer(string: text)
            var fields = HTTPHeaders()
            switch server.behaviour.withLock({ $0 }) {
            case .silent: return
            case .close:
                context.close(promise: nil)
                return
            case .noise:
                let encoder = try? context.pipeline.syncOperations.context(handlerType: HTTPResponseEncoder.self)
                encoder?.writeAndFlush(NIOAny(IOData.byteBuffer(ByteBuffer(string: "what?\r\n\r\n"))), promise: nil)
                return
            case .bytes(let count): body = ByteBuffer(repeating: 0x61, count: count)
            case .closeAfterwards:
                let channel = context.channel
                context.eventLoop.scheduleTask(in: .milliseconds(50)) { channel.close(promise: nil) }
            case .stall(let count): return sendPart(count, thenClose: false, context)
            case .cutShort(let count): return sendPart(count, thenClose: true, context)
            case .endless:
                context.write(
                    wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .ok))),
                    promise: nil
                )
                return sendEndlessly(context)
            case .manyFields:
                for number in 0..<1000 { fields.add(name: "X-\(number)", value: "x") }
            case .echo: break
            }
            fields.add(name: "Content-Length", value: "\(body.readableBytes)")
            context.write(
                wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .ok, headers: fields))),
                promise: nil
            )
            context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }
    }
}
