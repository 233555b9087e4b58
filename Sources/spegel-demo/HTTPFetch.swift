import Crypto
import NIOCore
import NIOHTTP1
import NIOPosix
import OCI

/// A request to a node, over a connection of its own.
enum HTTPFetch {
    struct Answer {
        var status: Int
        var headers: HTTPHeaders
        /// The digest and the size of the body.
        var digest: OCI.Digest?
        var size: Int64
        /// The body itself, when it is small.
        var body: [UInt8]?
        var time: Duration
    }

    private static let keptSize = 4 << 20

    static func get(_ host: String, _ port: Int, _ target: String) async throws -> Answer {
        let start = ContinuousClock.now
        let client = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connectTimeout(.seconds(2))
            .connect(host: host, port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    try channel.pipeline.syncOperations.addHandler(IdleStateHandler(readTimeout: .seconds(10)))
                    try channel.pipeline.syncOperations.addHandler(CloseOnIdle())
                    return try NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>(
                        wrappingChannelSynchronously: channel
                    )
                }
            }
        return try await client.executeThenClose { inbound, outbound in
            var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: target)
            head.headers = ["Host": "\(host):\(port)", "Connection": "close"]
            // Together: the answer may be there, and the connection closed, before the end would be written.
            try await outbound.write(contentsOf: [.head(head), .end(nil)])

            var answer = Answer(status: 0, headers: [:], size: 0, body: [], time: .zero)
            var hash = SHA256()
            for try await part in inbound {
                switch part {
                case .head(let head):
                    answer.status = Int(head.status.code)
                    answer.headers = head.headers
                case .body(let chunk):
                    chunk.withUnsafeReadableBytes { hash.update(bufferPointer: $0) }
                    answer.size += Int64(chunk.readableBytes)
                    answer.body?.append(contentsOf: chunk.readableBytesView)
                    if answer.size > keptSize { answer.body = nil }
                case .end:
                    answer.digest = OCI.Digest(algorithm: .sha256, bytes: hash.finalize())
                    answer.time = ContinuousClock.now - start
                    return answer
                }
            }
            throw DemoError("\(host):\(port) closed the connection before the end of \(target)")
        }
    }
}

/// Ends a connection on which nothing comes any more.
private final class CloseOnIdle: ChannelInboundHandler {
    typealias InboundIn = Any

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent { context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }
}
