import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// An HTTP server on loopback that answers as it is told.
final class TestServer: Sendable {
    enum Behaviour: Sendable {
        /// Answers with the method, the path and the body of the request.
        case echo
        /// Answers with so many bytes.
        case bytes(Int)
        /// Says nothing.
        case silent
        /// Closes the connection at once.
        case close
        /// Answers and closes a moment later, without having said so.
        case closeAfterwards
        /// Sends what is no HTTP.
        case noise
    }

    let behaviour = Mutex(Behaviour.echo)
    let connections = Mutex(0)
    private let channel: any Channel

    var port: UInt16 { UInt16(channel.localAddress?.port ?? 0) }

    static func start() async throws -> TestServer {
        let holder = Holder()
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let server = holder.server else { throw ChannelError.eof }
                    server.connections.withLock { $0 += 1 }
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

        private func answer(_ context: ChannelHandlerContext) {
            var body = ByteBuffer(string: text)
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
            case .echo: break
            }
            let fields = HTTPHeaders([("Content-Length", "\(body.readableBytes)")])
            context.write(
                wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .ok, headers: fields))),
                promise: nil
            )
            context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }
    }
}
