import Glibc
import HTTPClient
import NIOCore
import NIOHTTP1
import NIOPosix

/// A GET of a node's registry, whose body is handed on as it comes, over a connection of its own.
struct RegistryRequest {
    /// How long connecting may take, and how long nothing may come.
    struct Deadlines {
        var connect = TimeAmount.seconds(5)
        var idle = TimeAmount.seconds(15)
    }

    var url: HTTPURL
    var fields: [(name: String, value: String)] = []
    var deadlines = Deadlines()

    /// Why there is no complete answer.
    enum Failure: Error, CustomStringConvertible {
        case unreachable(HTTPURL, reason: String)
        case cutShort(reason: String)

        var description: String {
            switch self {
            case .unreachable(let url, let reason):
                "no registry answers at \(url) (\(reason)): see whether the node runs ('curl \(url)/readyz'), or name "
                    + "another place with --address"
            case .cutShort(let reason): reason
            }
        }
    }

    /// Sends the request.
    ///
    /// - Parameters:
    ///   - path: the path with its query.
    ///   - head: gets the head of the answer; `false` lets the body go.
    ///   - body: gets the body piece by piece.
    /// - Throws: ``Failure``, or what the functions throw.
    func get(
        _ path: String,
        range: String? = nil,
        head onHead: (HTTPResponseHead) throws -> Bool,
        body onBody: (ByteBuffer) throws -> Void
    ) async throws {
        let channel = try await connect()
        var headers = HTTPHeaders([("Host", url.authority), ("Connection", "close")])
        for field in fields { headers.add(name: field.name, value: field.value) }
        if let range { headers.add(name: "Range", value: range) }
        let request = HTTPRequestHead(version: .http1_1, method: .GET, uri: path, headers: headers)
        try await channel.executeThenClose { inbound, outbound in
            do {
                // Together: the answer may be there, and the connection closed, before the end would be written.
                try await outbound.write(contentsOf: [.head(request), .end(nil)])
            } catch {
                throw Failure.cutShort(reason: "the connection was closed")
            }
            var parts = inbound.makeAsyncIterator()
            while true {
                let part: HTTPClientResponsePart?
                do {
                    part = try await parts.next()
                } catch is CancellationError {
                    throw CancellationError()
                } catch {
                    throw Failure.cutShort(reason: "the connection ended (\(error))")
                }
                switch part {
                case .head(let head): guard try onHead(head) else { return }
                case .body(let bytes): try onBody(bytes)
                case .end: return
                case nil: throw Failure.cutShort(reason: "the connection was closed before the end")
                }
            }
        }
    }

    private func connect() async throws -> NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart> {
        do {
            return try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connectTimeout(deadlines.connect)
                .connect(host: url.host, port: Int(url.port)) { [deadlines] channel in
                    channel.eventLoop.makeCompletedFuture {
                        let pipeline = channel.pipeline.syncOperations
                        try pipeline.addHandler(IdleStateHandler(readTimeout: deadlines.idle))
                        try pipeline.addHandler(IdleClose())
                        try pipeline.addHTTPClientHandlers()
                        return try NIOAsyncChannel(wrappingChannelSynchronously: channel)
                    }
                }
        } catch let error as NIOConnectionError {
            let reasons = error.connectionErrors.map { failure in
                (failure.error as? IOError)?.errnoCode == ECONNREFUSED ? "connection refused" : "\(failure.error)"
            }
            throw Failure.unreachable(url, reason: reasons.first ?? "the name \(error.host) cannot be resolved")
        }
    }
}

/// Ends a connection on which nothing comes any more.
private final class IdleClose: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent { context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }
}
