import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

@testable import Registry

/// Both ends of a connection between nodes, without a socket.
struct NodeConnectionsTests {
    /// Answers each request with its path.
    private final class Echo: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart
        private var path = ""

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head): path = head.uri
            case .body: break
            case .end:
                let headers: HTTPHeaders = ["Content-Length": "\(path.utf8.count)"]
                let head = HTTPResponseHead(version: .http1_1, status: .ok, headers: headers)
                context.write(wrapOutboundOut(.head(head)), promise: nil)
                context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: path)))), promise: nil)
                context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
            }
        }
    }

    private final class Responses: ChannelInboundHandler {
        typealias InboundIn = HTTPClientResponsePart
        private(set) var statuses: [UInt] = []
        private(set) var body = ""

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head): statuses.append(head.status.code)
            case .body(let bytes): body += String(buffer: bytes)
            case .end: break
            }
        }
    }

    private func carry(from source: EmbeddedChannel, to destination: EmbeddedChannel) throws {
        while let bytes = try source.readOutbound(as: ByteBuffer.self) { try destination.writeInbound(bytes) }
    }

    @Test func acceptedEndAnswersWhatTheOpenedEndAsks() throws {
        let (opened, accepted) = (EmbeddedChannel(), EmbeddedChannel())
        let responses = Responses()
        try NodeConnections.prepareOutgoing(opened, responses)
        try NodeConnections.prepareIncoming(accepted, Echo())
        for path in ["/v2/a/blobs/b", "/v2/"] {
            let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: path, headers: ["Host": "x"])
            try opened.writeOutbound(HTTPClientRequestPart.head(head))
            try opened.writeOutbound(HTTPClientRequestPart.end(nil))
            try carry(from: opened, to: accepted)
            try carry(from: accepted, to: opened)
        }
        #expect(responses.statuses == [200, 200] && responses.body == "/v2/a/blobs/b/v2/")
        _ = try? opened.finish()
        _ = try? accepted.finish()
    }
}
