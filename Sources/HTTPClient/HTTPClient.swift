import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization

/// Asks one server over HTTP/1.1, with or without TLS.
///
/// For small answers: an answer is held in memory as a whole. Redirects are not followed.
public final class HTTPClient: Sendable {
    private let url: HTTPURL
    private let group: any EventLoopGroup
    private let limit: Int
    private let keepsConnection: Bool
    private let tls: @Sendable () throws -> TLSSettings
    private let state = Mutex(State())

    private struct State {
        var idle: (any Channel)?
        var isClosed = false
    }

    /// Makes a client that connects when it is first used.
    ///
    /// - Parameters:
    ///   - url: The server; its path is not used.
    ///   - limit: The most bytes of an answer.
    ///   - keepsConnection: Whether a connection is kept for the next request.
    ///   - tls: Asked before each new connection to an `https` server, so that files may be read anew.
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

    /// Sends a request and waits for the whole response.
    ///
    /// On a connection that was kept and turns out to be closed, the request is sent once more on a new one.
    ///
    /// - Parameter timeout: The time for all of it, connecting included.
    /// - Throws: ``HTTPClientError``, `CancellationError`, or what reading the TLS settings throws.
    public func send(_ request: HTTPRequest, timeout: Duration) async throws -> HTTPResponse {
        let deadline = ContinuousClock.now + timeout
        if let channel = state.withLock({ $0.idle.take() }) {
            do {
                return try await exchange(request, on: channel, deadline: deadline, timeout: timeout)
            } catch HTTPClientError.closed where ContinuousClock.now < deadline {
                // Closed while idle, most likely.
            }
        }
        let channel = try await connect(deadline: deadline, timeout: timeout)
        return try await exchange(request, on: channel, deadline: deadline, timeout: timeout)
    }

    /// Closes the connection that is kept; what is under way goes on, and its connection is closed after it.
    public func close() async {
        let idle = state.withLock { state in
            state.isClosed = true
            return state.idle.take()
        }
        try? await idle?.close()
    }

    private func connect(deadline: ContinuousClock.Instant, timeout: Duration) async throws -> any Channel {
        let context = url.isSecure ? try (tls().serverName, tls().makeContext()) : nil
        let bootstrap = ClientBootstrap(group: group)
            .connectTimeout(TimeAmount(max(deadline - ContinuousClock.now, .milliseconds(1))))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
        let connected: (channel: any Channel, secured: EventLoopPromise<Void>)
        do {
            connected = try await bootstrap.connect(host: url.host, port: Int(url.port)) { [url, limit] channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let (name, context) = context {
                        try pipeline.addHandler(try Self.tlsHandler(context, name: name ?? url.host))
                    }
                    try pipeline.addHTTPClientHandlers(leftOverBytesStrategy: .dropBytes)
                    let secured = channel.eventLoop.makePromise(of: Void.self)
                    if context == nil { secured.succeed() }
                    try pipeline.addHandler(ExchangeHandler(peer: url.authority, limit: limit, secured: secured))
                    return (channel, secured)
                }
            }
        } catch {
            throw HTTPClientError.wrap(error, peer: url.authority)
        }
        // What is wrong with the TLS session is told here, and not lost before there is a request to fail.
        let (channel, secured) = connected
        let late = HTTPClientError.timedOut(url.authority, after: timeout)
        let timer = channel.eventLoop.scheduleTask(in: TimeAmount(max(deadline - ContinuousClock.now, .zero))) {
            secured.fail(late)
            channel.close(promise: nil)
        }
        defer { timer.cancel() }
        try await withTaskCancellationHandler {
            try await secured.futureResult.get()
        } onCancel: {
            secured.fail(CancellationError())
            channel.close(promise: nil)
        }
        return channel
    }

    /// An IP address is no name for SNI; the certificate is then compared with the address that was dialled.
    private static func tlsHandler(_ context: NIOSSLContext, name: String) throws -> NIOSSLClientHandler {
        let isAddress = (try? SocketAddress(ipAddress: name, port: 0)) != nil
        return try NIOSSLClientHandler(context: context, serverHostname: isAddress ? nil : name)
    }

    private func exchange(
        _ request: HTTPRequest,
        on channel: any Channel,
        deadline: ContinuousClock.Instant,
        timeout: Duration
    ) async throws -> HTTPResponse {
        let promise = channel.eventLoop.makePromise(of: Exchange.Answer.self)
        let late = HTTPClientError.timedOut(url.authority, after: timeout)
        let timer = channel.eventLoop.scheduleTask(in: TimeAmount(max(deadline - ContinuousClock.now, .zero))) {
            promise.fail(late)
            channel.close(promise: nil)
        }
        defer { timer.cancel() }
        let exchange = Exchange(request: request, response: promise)
        let answer = try await withTaskCancellationHandler {
            // A channel that is closed already never sees the exchange.
            let written = channel.eventLoop.makePromise(of: Void.self)
            written.futureResult.whenFailure { [url] in promise.fail(HTTPClientError.wrap($0, peer: url.authority)) }
            channel.writeAndFlush(exchange, promise: written)
            return try await promise.futureResult.get()
        } onCancel: {
            promise.fail(CancellationError())
            channel.close(promise: nil)
        }
        let isKept = state.withLock { state in
            guard keepsConnection, answer.isReusable, !state.isClosed, state.idle == nil, channel.isActive else {
                return false
            }
            state.idle = channel
            return true
        }
        if !isKept { channel.close(promise: nil) }
        return answer.response
    }
}
