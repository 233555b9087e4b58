import ContentStore
import Mirroring
import NIOCore
import OCI
import Splicing

/// An answer from a peer: the client of a ``MirrorSession``, which finds the peer and fetches the content.
final class MirrorAnswer: Answer, MirrorClient {
    private enum State {
        /// Goes to `running`, `ended`.
        case new
        /// Goes to `ended`.
        case running(MirrorSession)
        /// The session has ended, with this address of the peer that it asked last.
        case ended(source: PeerAddress?)
    }

    private let context: AnswerContext
    /// The requests of others that wait for this answer.
    private let shared: SharedMirror?
    private var state = State.new

    /// - Parameter shared: takes the requests of others that may wait for this answer.
    init(_ context: AnswerContext, shared: SharedMirror?) {
        self.context = context
        self.shared = shared
    }

    // MARK: Answer

    var bytesPastChannel: Int64 { session?.splicedBytes ?? 0 }

    var source: PeerAddress? {
        switch state {
        case .new: nil
        case .running(let session): session.source
        case .ended(let source): source
        }
    }

    func start() {
        guard case .new = state else { return }
        context.exchange.origin = .peer
        let session = MirrorSession(
            context.requestToPeers,
            client: self,
            services: context.services,
            loop: context.loop,
            eventLoop: context.eventLoop,
            shared: shared
        )
        state = .running(session)
        session.start()
    }

    func clientTakesBytes(_ takes: Bool) {
        session?.clientTakesBytes(takes)
    }

    func clientClosed() -> Bool {
        // Where the kernel sends, it is asked first how far it has come.
        session?.clientClosedWhileSpliced() ?? false
    }

    func stop() {
        guard let session else { return }
        state = .ended(source: session.source)
        session.clientClosed()
    }

    private var session: MirrorSession? {
        guard case .running(let session) = state else { return nil }
        return session
    }

    // MARK: MirrorClient

    private var exchange: Exchange { context.exchange }

    var takesBytes: Bool { exchange.channel?.isWritable ?? false }

    var address: String? { exchange.channel?.remoteAddress?.ipAddress }

    func mirrorSends(head content: PromisedContent, source: PeerAddress?) {
        context.sendRelayed(head: content, source: source)
    }

    func mirrorSends(body: ByteBuffer) {
        if !context.isNotModified { exchange.send(.byteBuffer(body)) }
    }

    func mirrorSends(body: ByteBuffer, whenSent: @escaping @Sendable () -> Void) {
        context.sendRelayed(body: body, whenSent: whenSent)
    }

    func mirrorFlushes() {
        exchange.flush()
    }

    func mirrorFlushes(whenDone: @escaping () -> Void) {
        let promise = context.eventLoop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenSuccess(whenDone)
        exchange.send(.byteBuffer(ByteBuffer()), promise: promise)
        exchange.flush()
    }

    var socket: SocketDescriptor? {
        guard let channel = exchange.channel, !context.isNotModified else { return nil }
        return SocketDescriptor(of: channel)
    }

    func mirrorSent(bytes: Int64) {
        exchange.sentPastChannel(bytes)
    }

    func mirrorLostClient() {
        exchange.close()
    }

    func mirrorEnds(_ ending: TransferEnding) {
        guard let session else { return }
        state = .ended(source: session.source)
        if exchange.isOrphaned {
            exchange.end(ending == .complete ? .mirrored : .aborted)
        } else {
            context.finishRelayed(ending)
        }
    }
}

extension AnswerContext {
    /// What peers are asked for: of content that the client has already, only whether it is there.
    var requestToPeers: ContentRequest {
        guard case .digest(let digest) = request.content.target, request.hasAlready(digest) else { return request }
        var request = request
        request.isHead = true
        request.range = nil
        return request
    }
}
