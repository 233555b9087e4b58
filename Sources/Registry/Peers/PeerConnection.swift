import ContentStore
import Glibc
import Mirroring
import NIOCore
import NIOHTTP1
import NIOPosix
import OCI
import Splicing

/// Who uses a connection to a peer. All calls come on the event loop of the connection.
protocol PeerConnectionUser: AnyObject {
    func peerConnected(_ attempt: AttemptID)
    func peerSentHead(_ head: PeerResponse, _ attempt: AttemptID)
    func peerSentBody(_ bytes: ByteBuffer, _ attempt: AttemptID)
    func peerSentEnd(_ attempt: AttemptID)
    /// What has come so far was handed over; nothing more is read until ``PeerConnection/read()`` is called.
    func peerPaused(_ attempt: AttemptID)
    /// The kernel has moved bytes of the body to the client, and no more will come; see
    /// ``PeerConnection/splice(_:to:by:verification:onBytes:)``.
    func peerSpliced(_ result: SpliceResult, _ attempt: AttemptID)
    func peerFailed(_ failure: AttemptFailure, _ attempt: AttemptID)
}

/// A connection to a peer, for one request at a time. It reads only when told to, so that its user holds the peer
/// back by not asking for more.
final class PeerConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    /// The most bytes that are read at a time. Nothing is read while the client's channel holds back more than
    /// ``ConnectionRules/writeBuffer``, so a transfer never has more than the two together in memory: 176 KiB.
    static let maximumReadSize = 128 << 10
    /// The same for connections that are made while there are more than `count` transfers: 80 KiB for each of them.
    static let manyTransfers = (count: 32, maximumReadSize: 32 << 10)

    let address: PeerAddress
    private let metrics: RegistryMetrics
    private var context: ChannelHandlerContext?
    private var user: (any PeerConnectionUser)?
    private var attempt: AttemptID = 0
    private var request: HTTPRequestHead?
    private var isCancelled = false
    private var keepsAlive = false
    private var isMidResponse = false
    /// What moves the body of the answer; there is no channel meanwhile.
    private var splicing: SpliceHandle?
    /// The socket after that, until it has a channel again.
    private var socket: SocketDescriptor?
    /// Whether the channel is left behind, its socket being in other hands.
    private var hasLeftChannel = false

    init(address: PeerAddress, metrics: RegistryMetrics) {
        self.address = address
        self.metrics = metrics
    }

    /// Whether another request can be sent.
    var isReusable: Bool {
        keepsAlive && !isMidResponse && !isCancelled && context?.channel.isActive == true
    }

    /// Connects and sends a request as soon as the connection is there. The user hears of all else.
    func connect(
        on eventLoop: any EventLoop,
        timeout: TimeAmount,
        request: HTTPRequestHead,
        attempt: AttemptID,
        user: any PeerConnectionUser
    ) {
        self.user = user
        self.attempt = attempt
        self.request = request
        guard let socketAddress = SocketAddress(address) else { return fail(.cannotConnect("invalid address")) }
        makeBootstrap(eventLoop)
            .connectTimeout(timeout)
            .connect(to: socketAddress)
            .assumeIsolated()
            .whenFailure { error in
                if case .connectTimeout = error as? ChannelError {
                    self.fail(.connectTimeout)
                } else {
                    self.fail(.cannotConnect(shortDescription(error)))
                }
            }
    }

    private func makeBootstrap(_ eventLoop: any EventLoop) -> ClientBootstrap {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let many = Self.manyTransfers
        let readSize = metrics.currentMirrors > many.count ? many.maximumReadSize : Self.maximumReadSize
        return ClientBootstrap(group: eventLoop)
            .channelOption(.autoRead, value: false)
            .channelOption(.maxMessagesPerRead, value: 1)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(minimum: 2048, initial: 16 << 10, maximum: readSize)
            )
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NodeConnections.prepareOutgoing(channel, bound.value)
                }
            }
    }

    /// Sends another request on an idle connection.
    func send(_ request: HTTPRequestHead, attempt: AttemptID, user: any PeerConnectionUser) {
        self.attempt = attempt
        self.user = user
        write(request)
    }

    /// Reads on.
    func read() {
        context?.read()
    }

    /// Closes the connection; the user hears no more of it.
    func cancel() {
        user = nil
        isCancelled = true
        splicing?.stop()
        splicing = nil
        socket = nil
        context?.close(promise: nil)
    }

    /// The user has read the answer to its end.
    func detach() {
        user = nil
    }

    private func write(_ request: HTTPRequestHead) {
        guard let context else { return }
        isMidResponse = true
        keepsAlive = false
        context.write(wrapOutboundOut(.head(request)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        context.read()
    }

    private func fail(_ failure: AttemptFailure) {
        isCancelled = true
        let user = user
        self.user = nil
        user?.peerFailed(failure, attempt)
    }

    // MARK: Without a channel

    /// Has the kernel move the rest of the body to a client's socket. The connection leaves its channel for that, which
    /// would otherwise read what comes as soon as the peer closes. The user hears of the end and nothing else.
    ///
    /// - Parameters:
    ///   - count: how many bytes the rest has. None of them may have been read.
    ///   - verification: hashes the bytes, and compares their digest before the last of them leaves.
    ///   - onBytes: called on another thread with how many bytes have come since the last call.
    /// - Returns: whether it is being done; if not, nothing has changed.
    func splice(
        _ count: Int64,
        to client: SocketDescriptor,
        by splicer: Splicer,
        verification: DigestVerification?,
        onBytes: @escaping @Sendable (Int) -> Void
    ) -> Bool {
        guard let context, isMidResponse, !isCancelled, let peer = SocketDescriptor(of: context.channel) else {
            return false
        }
        let eventLoop = context.eventLoop
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let handle = splicer.begin(
            count,
            from: peer,
            to: client,
            verification: verification,
            onBytes: onBytes
        ) { result in
            eventLoop.execute { bound.value.spliceEnded(result, peer) }
        }
        guard let handle else { return false }
        splicing = handle
        metrics.changePeerConnections(by: 1)
        hasLeftChannel = true
        context.close(promise: nil)
        return true
    }

    /// Has the kernel end at once; the user hears how far it has come.
    func stopSplicing() {
        splicing?.stop()
    }

    /// Has the kernel end once the client has all that came; the user hears how far it has come.
    func leaveSplicing() {
        splicing?.leave()
    }

    /// Whether the client did not take bytes from the kernel at once since the last call.
    func takeBlocked() -> Bool { splicing?.takeBlocked() ?? false }

    /// How many bytes the kernel has moved to the client so far.
    var splicedBytes: Int64 { splicing?.delivered ?? 0 }

    private func spliceEnded(_ result: SpliceResult, _ peer: SocketDescriptor) {
        metrics.changePeerConnections(by: -1)
        splicing = nil
        guard !isCancelled else { return peer.close() }
        if result.end == .complete {
            isMidResponse = false
            socket = peer
        }
        user?.peerSpliced(result, attempt)
    }

    /// Gives the connection a channel again, if it has none and can serve again.
    ///
    /// - Parameter done: called when it has one, or never will.
    func rejoin(_ eventLoop: any EventLoop, done: @escaping () -> Void) {
        guard let socket else { return done() }
        self.socket = nil
        // What a peer sends beyond the end of its answer belongs to none.
        var byte: UInt8 = 0
        let isQuiet = recv(socket.number, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT)) < 0
        guard keepsAlive, isQuiet, errno == EAGAIN, let number = socket.take() else { return done() }
        hasLeftChannel = false
        makeBootstrap(eventLoop).withConnectedSocket(number).assumeIsolated().whenComplete { _ in done() }
    }

    // MARK: ChannelInboundHandler

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        metrics.changePeerConnections(by: 1)
        if isCancelled { context.close(promise: nil) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        metrics.changePeerConnections(by: -1)
        // It may be the channel that was left, when there is a new one already.
        if self.context === context { self.context = nil }
    }

    func channelActive(context: ChannelHandlerContext) {
        guard !isCancelled else { return context.close(promise: nil) }
        // Where there is no request the connection is an old one, with a channel again.
        guard let request else { return }
        self.request = nil
        user?.peerConnected(attempt)
        write(request)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard isMidResponse else {
            // Bytes that no request asked for.
            isCancelled = true
            return context.close(promise: nil)
        }
        switch unwrapInboundIn(data) {
        case .head(let head):
            keepsAlive = head.isKeepAlive
            user?.peerSentHead(PeerResponse(head), attempt)
        case .body(let bytes):
            user?.peerSentBody(bytes, attempt)
        case .end:
            isMidResponse = false
            user?.peerSentEnd(attempt)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        guard isReusable else {
            user?.peerPaused(attempt)
            return
        }
        // Between two answers nothing comes. To stay registered for reading costs less than to be so anew for each.
        context.read()
    }

    func channelInactive(context: ChannelHandlerContext) {
        guard self.context === context, !hasLeftChannel else { return }
        fail(.closed("by the peer"))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard self.context === context, !hasLeftChannel else { return }
        switch error {
        case HTTPParserError.invalidEOFState: fail(.closed("in the middle of the answer"))
        case is HTTPParserError, is NIOHTTPDecoderError: fail(.malformed("\(error)"))
        default: fail(.closed(shortDescription(error)))
        }
        context.close(promise: nil)
    }
}

/// An error in few words.
func shortDescription(_ error: any Error) -> String {
    switch error {
    case let error as IOError: systemErrorText(error.errnoCode)
    case let error as NIOConnectionError:
        error.connectionErrors.first.map { shortDescription($0.error) } ?? "no address could be reached"
    default: "\(error)"
    }
}
