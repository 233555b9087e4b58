import HTTPLimits
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization

/// A client of one HTTP/1.1 server, with or without TLS.
///
/// It keeps at most one idle connection and follows no redirects.
public final class HTTPClient: Sendable {
    /// The time that each stage of a request may take.
    public struct Deadlines: Hashable, Sendable {
        /// The time to connect, the TLS handshake included.
        public var connect: Duration
        /// The time from the request to the head of its response.
        public var head: Duration
        /// The time without a byte of the body while the caller waits for one.
        public var progress: Duration
        /// The time of the whole request, connecting included; `nil` for no limit.
        public var whole: Duration?

        /// A deadline for each stage.
        public init(connect: Duration, head: Duration, progress: Duration, whole: Duration? = nil) {
            self.connect = connect
            self.head = head
            self.progress = progress
            self.whole = whole
        }

        /// One deadline for all stages together.
        public init(whole: Duration) {
            self.init(connect: whole, head: whole, progress: whole, whole: whole)
        }
    }

    private let url: HTTPURL
    private let group: any EventLoopGroup
    private let limit: Int
    private let keepsConnection: Bool
    private let tls: @Sendable () throws -> TLSSettings
    private let state = Mutex(State())

    private struct State {
        var idle: ClientConnection?
        var isClosed = false
    }

    /// Makes a client that connects with its first request.
    ///
    /// - Parameters:
    ///   - url: The server; the client does not use the path.
    ///   - limit: The most bytes of a body that ``send(_:timeout:)`` returns.
    ///   - keepsConnection: Whether the client keeps a connection for the next request.
    ///   - tls: The settings for each new connection to an `https` server, so that renewed files take effect.
    public init(
        url: HTTPURL,
        group: any EventLoopGroup,
        limit: Int = 1 << 20,
        keepsConnection: Bool = true,
        tls: @escaping @Sendable () throws -> TLSSettings = { TLSSettings() }
    ) {
        self.url = url
        self.group = group
        self.limit = limit
        self.keepsConnection = keepsConnection
        self.tls = tls
    }

    /// Sends a request and returns the whole response.
    ///
    /// - Parameter timeout: The time for all of it, connecting included.
    /// - Throws: ``HTTPClientError``, `CancellationError`, or what reading the TLS settings throws.
    public func send(_ request: HTTPRequest, timeout: Duration) async throws -> HTTPResponse {
        try await withResponse(to: request, deadlines: Deadlines(whole: timeout)) { head, body in
            HTTPResponse(status: Int(head.status.code), body: try await body.collect(upTo: limit))
        }
    }

    /// Sends a request and passes on the response while its body arrives.
    ///
    /// The client reads no further than the closure does. It closes the connection when the closure throws or does not
    /// read to the end. If the server closed a kept connection before it answered, the client sends the request once
    /// more on a new one.
    ///
    /// - Parameter use: Uses the head and the body; the body is not valid after it returns.
    /// - Throws: ``HTTPClientError``, `CancellationError`, what the closure throws, or what reading the TLS settings
    ///   throws.
    public func withResponse<Result>(
        to request: HTTPRequest,
        deadlines: Deadlines,
        _ use: (HTTPResponseHead, HTTPBody) async throws -> Result
    ) async throws -> Result {
        let whole = deadlines.whole.map { Deadline($0, .timedOut(url.authority, after: $0)) }
        let (connection, head) = try await respond(to: request, deadlines, within: whole)
        do {
            let result = try await use(head, HTTPBody(connection: connection, deadlines: deadlines, whole: whole))
            await release(connection)
            return result
        } catch {
            connection.close()
            throw error
        }
    }

    /// Closes the kept connection. Requests in flight go on, and their connections close after them.
    public func close() async {
        let idle = state.withLock { state in
            state.isClosed = true
            return state.idle.take()
        }
        try? await idle?.channel.close()
    }

    private func respond(
        to request: HTTPRequest,
        _ deadlines: Deadlines,
        within whole: Deadline?
    ) async throws -> (ClientConnection, HTTPResponseHead) {
        let head = requestHead(request)
        if let connection = state.withLock({ $0.idle.take() }) {
            do {
                return (connection, try await connection.send(head, request.body, deadlines, within: whole))
            } catch HTTPClientError.closed {
                // The server most likely closed it while it was idle.
            }
        }
        let connection = try await connect(deadlines, within: whole)
        return (connection, try await connection.send(head, request.body, deadlines, within: whole))
    }

    private func requestHead(_ request: HTTPRequest) -> HTTPRequestHead {
        var headers = HTTPHeaders([("Host", url.authority)])
        for (name, value) in request.fields { headers.add(name: name, value: value) }
        if let body = request.body { headers.add(name: "Content-Length", value: "\(body.count)") }
        if !keepsConnection { headers.add(name: "Connection", value: "close") }
        return HTTPRequestHead(
            version: .http1_1,
            method: HTTPMethod(rawValue: request.method),
            uri: request.path,
            headers: headers
        )
    }

    private func connect(_ deadlines: Deadlines, within whole: Deadline?) async throws -> ClientConnection {
        let settings = url.isSecure ? try tls() : nil
        let tls = try settings.map { (name: $0.serverName ?? url.host, context: try $0.makeContext()) }
        let deadline = Deadline(deadlines.connect, .timedOut(url.authority, after: deadlines.connect)).within(whole)
        let bootstrap = ClientBootstrap(group: group)
            .connectTimeout(deadline.remaining)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
        let connection: ClientConnection
        do {
            connection = try await bootstrap.connect(host: url.host, port: Int(url.port)) { [url] channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let tls { try pipeline.addHandler(try Self.tlsHandler(tls.context, name: tls.name)) }
                    try pipeline.addHTTPClientHandlers(
                        leftOverBytesStrategy: .dropBytes,
                        decoderLimitConfiguration: DecoderLimits.configuration
                    )
                    let handler = ExchangeHandler(
                        peer: url.authority,
                        isSecured: tls == nil,
                        eventLoop: channel.eventLoop
                    )
                    try pipeline.addHandler(handler)
                    return ClientConnection(channel: channel, handler: handler)
                }
            }
        } catch {
            throw HTTPClientError.wrap(error, peer: url.authority)
        }
        // A request before the end of the handshake would hide why it failed.
        if tls != nil { try await connection.secured(deadline) }
        return connection
    }

    /// An IP address is no name for SNI; the certificate must then name the address that was dialled.
    private static func tlsHandler(_ context: NIOSSLContext, name: String) throws -> NIOSSLClientHandler {
        let isAddress = (try? SocketAddress(ipAddress: name, port: 0)) != nil
        return try NIOSSLClientHandler(context: context, serverHostname: isAddress ? nil : name)
    }

    /// Keeps the connection for the next request, or closes it.
    private func release(_ connection: ClientConnection) async {
        let isReusable = keepsConnection ? await connection.isReusable() : false
        let isKept = state.withLock { state in
            guard isReusable, !state.isClosed, state.idle == nil else { return false }
            state.idle = connection
            return true
        }
        if !isKept { connection.close() }
    }
}
