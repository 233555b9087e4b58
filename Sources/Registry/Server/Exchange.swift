import Mirroring
import NIOCore
import NIOHTTP1
import OCI

/// The connection that an exchange belongs to. All calls come on its event loop.
protocol ExchangeConnection: AnyObject {
    /// The connection's place in its channel; `nil` once the channel is closed.
    var context: ChannelHandlerContext? { get }
    /// Whether the connection closes after the answer that is under way.
    var isDraining: Bool { get }
    /// Looks at the latest after some time whether the answer makes progress.
    func checkProgress(within time: TimeAmount)
    /// All of the answer has left.
    func answered(keepsAlive: Bool)
}

/// One request and its answer: all that an answer may do to the connection, for as long as the exchange lasts.
final class Exchange {
    /// What the connection knows of a request.
    struct Request {
        /// Whether no body may follow the head of the answer.
        var isHead: Bool
        /// Whether the client speaks HTTP/1.0.
        var isOldVersion: Bool
        var handler: RequestHandler
        var method: RequestMethod
        var started: NIODeadline
    }

    /// Where the body of an answer with content comes from.
    enum Origin {
        /// Nowhere yet.
        case none
        /// This node's own store.
        case store
        /// Another node.
        case peer
    }

    private enum Phase {
        /// Nothing was sent. Goes to `sending`, `orphaned`, `ended`.
        case waiting
        /// The head was sent, the end was not. Goes to `finishing`, `orphaned`, `ended`.
        case sending
        /// The channel has all of the answer. Goes to `ended`.
        case finishing(RequestOutcome?)
        /// The client has left, and the answer has yet to learn how much has reached it. Goes to `ended`.
        case orphaned
        /// Nothing may follow.
        case ended
    }

    let request: Request
    /// The content that is asked for, if it is content.
    var content: ContentRequest?
    /// The proof of the node that asks, if it has given one.
    var proof: NodeProofs.Proven?
    var origin = Origin.none
    /// The size of the body, once it is known.
    var bodySize: Int64?

    /// The status that was sent; 0 before.
    private(set) var status = 0
    private var keepsAlive: Bool
    private var progress: AnswerProgress
    private var phase = Phase.waiting
    /// What answers; `nil` where the answer was sent at once.
    private var answer: (any Answer)?
    private let telemetry: LoopTelemetry
    /// `nil` once the exchange has ended.
    private var connection: (any ExchangeConnection)?

    /// - Parameter keepsAlive: whether another request may follow on the connection.
    init(_ request: Request, keepsAlive: Bool, connection: any ExchangeConnection, telemetry: LoopTelemetry) {
        self.request = request
        self.keepsAlive = keepsAlive
        self.connection = connection
        self.telemetry = telemetry
        progress = AnswerProgress(now: request.started)
        telemetry.record(.requestBegan(request.handler))
    }

    /// The client's channel; `nil` once it is closed or the exchange has ended.
    var channel: (any Channel)? { connection?.context?.channel }

    /// Whether the client has left and the exchange waits for ``end(_:)``.
    var isOrphaned: Bool { if case .orphaned = phase { true } else { false } }

    /// Whether the answer may still write.
    var isOpen: Bool {
        switch phase {
        case .waiting, .sending: true
        case .finishing, .orphaned, .ended: false
        }
    }

    // MARK: The answer

    /// Has an answer take over from the one before, if there was one.
    func handOver(to next: any Answer) {
        guard isOpen else { return }
        answer?.stop()
        answer = next
        next.start()
    }

    /// No other request follows on the connection.
    func closeAfterwards() {
        keepsAlive = false
    }

    /// Sends the head of the answer.
    func send(_ head: consuming HTTPResponseHead) {
        guard case .waiting = phase, let connection, let context = connection.context else { return }
        if connection.isDraining { keepsAlive = false }
        if !keepsAlive {
            head.headers.add(name: HeaderName.connection, value: "close")
        } else if request.isOldVersion {
            head.headers.add(name: HeaderName.connection, value: "keep-alive")
        }
        status = Int(head.status.code)
        phase = .sending
        context.write(Self.wrap(.head(head)), promise: nil)
    }

    /// Sends a part of the body.
    ///
    /// - Parameter promise: fails at once where the exchange is over.
    func send(_ body: IOData, promise: EventLoopPromise<Void>? = nil) {
        guard isOpen, let context = connection?.context else {
            promise?.fail(ChannelError.alreadyClosed)
            return
        }
        progress.add(body.readableBytes)
        context.write(Self.wrap(.body(body)), promise: promise)
    }

    /// Has leave what was sent.
    func flush() {
        connection?.context?.flush()
    }

    /// Ends the answer. The next request is taken once all of this one has left.
    func finish(_ outcome: RequestOutcome?) {
        guard isOpen, let context = connection?.context else { return }
        context.writeAndFlush(Self.wrap(.end(nil)), promise: makeFinish(outcome, context))
    }

    /// Sends a whole answer.
    ///
    /// - Parameter body: left out where no body may follow the head.
    func send(_ head: consuming HTTPResponseHead, _ body: ByteBuffer, _ outcome: RequestOutcome?) {
        send(head)
        guard !request.isHead else { return finish(outcome) }
        guard isOpen, let context = connection?.context else { return }
        progress.add(body.readableBytes)
        // The end is no bytes, so that all has left when the body has.
        context.write(Self.wrap(.body(.byteBuffer(body))), promise: makeFinish(outcome, context))
        context.writeAndFlush(Self.wrap(.end(nil)), promise: nil)
    }

    /// Sends a whole answer whose body is a short text.
    func send(_ answer: TextResponse, _ outcome: RequestOutcome? = nil) {
        guard let channel else { return }
        send(answer.head, channel.allocator.buffer(string: answer.body), outcome)
    }

    /// Ends an answer before its time, with a clean close: the client asks for the rest with a range.
    func cutShort() {
        keepsAlive = false
        finish(.cutShort)
    }

    /// Ends an answer at once, whatever of it waits to be sent. What has left the process still arrives, and then a
    /// FIN.
    func cutShortNow() {
        let context = connection?.context
        end(.cutShort)
        context?.close(promise: nil)
    }

    /// Closes the connection; the exchange ends with it.
    func close() {
        connection?.context?.close(promise: nil)
    }

    private func makeFinish(
        _ outcome: RequestOutcome?,
        _ context: ChannelHandlerContext
    ) -> EventLoopPromise<Void> {
        phase = .finishing(outcome)
        let promise = context.eventLoop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenComplete { self.allHasLeft($0) }
        return promise
    }

    private func allHasLeft(_ result: Result<Void, any Error>) {
        guard case .finishing(let outcome) = phase, let connection else { return }
        guard case .success = result else { return close() }
        end(outcome)
        connection.answered(keepsAlive: keepsAlive && !connection.isDraining)
    }

    private static func wrap(_ part: HTTPServerResponsePart) -> NIOAny { NIOAny(part) }

    // MARK: Progress

    /// Bytes of the body were sent past the channel.
    func sentPastChannel(_ count: Int64) {
        progress.addPastChannel(count)
    }

    /// The time that has passed without progress does not count.
    func restartProgress() {
        progress.restart(now: .now())
    }

    /// Looks at the latest after some time whether the answer makes progress.
    func checkProgress(within time: TimeAmount) {
        connection?.checkProgress(within: time)
    }

    /// Looks whether the answer makes progress; closes the connection of a client that takes nothing.
    ///
    /// - Parameter stallTimeout: for how long it may take nothing.
    func checkProgress(stallTimeout: TimeAmount) {
        guard let connection, let context = connection.context else { return }
        connection.checkProgress(within: answer?.progressInterval ?? .seconds(1))
        let buffered = Int64((try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0)
        let waiting = buffered - (answer?.bytesPastChannel ?? 0)
        guard let idle = progress.look(waiting: waiting, now: .now()) else { return }
        if answer?.madeNoProgress(for: idle, bufferedBytes: buffered) == true { return }
        guard idle >= stallTimeout else { return }
        telemetry.record(
            .clientStalled(context.channel.remoteAddress, key: content?.key, bufferedBytes: max(0, waiting))
        )
        context.close(promise: nil)
    }

    func clientTakesBytes(_ takes: Bool) {
        answer?.clientTakesBytes(takes)
    }

    // MARK: The end

    /// The client's connection is closed.
    func clientClosed() {
        if case .ended = phase { return }
        // The client may have left because it has all.
        if let answer, answer.clientClosed() {
            phase = .orphaned
        } else {
            end(content == nil ? nil : .aborted)
        }
    }

    /// Ends the exchange: counts it, and stops the answer.
    func end(_ outcome: RequestOutcome?) {
        if case .ended = phase { return }
        phase = .ended
        connection = nil
        telemetry.record(.requestEnded(record(outcome)))
        answer?.stop()
        answer = nil
    }

    private func record(_ outcome: RequestOutcome?) -> RequestRecord {
        let bytes = outcome == .aborted ? max(0, progress.left) : progress.sent
        let hasBody = bytes > 0 && (status == 200 || status == 206)
        return RequestRecord(
            handler: request.handler,
            responses: telemetry.responses(
                ResponseSeries.Key(handler: request.handler, method: request.method, status: status)
            ),
            status: status,
            duration: (NIODeadline.now() - request.started).nanoseconds,
            bytes: bytes,
            outcome: outcome,
            content: content.map { content in
                RequestRecord.Content(
                    key: content.key,
                    isFromPeer: content.isFromPeer,
                    isLocal: origin == .store,
                    series: hasBody ? telemetry.registry(content.content.registry) : nil
                )
            }
        )
    }

    // MARK: For people

    /// The answer as it is now, if it is one with content.
    ///
    /// - Parameter id: names it for as long as it lasts.
    func liveTransfer(id: String) -> LiveTransfer? {
        guard let content, let channel, !request.isHead else { return nil }
        let buffered = Int64((try? channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0)
        let isReceived = origin == .peer
        return LiveTransfer(
            id: id,
            content: content.content,
            key: content.key,
            direction: isReceived ? .received : content.isFromPeer ? .sent : .served,
            source: isReceived ? answer?.source?.text : nil,
            client: channel.remoteAddress?.hostHeader,
            bytes: max(0, progress.sent + (answer?.bytesPastChannel ?? 0) - buffered),
            size: bodySize,
            duration: .nanoseconds((NIODeadline.now() - request.started).nanoseconds)
        )
    }
}
