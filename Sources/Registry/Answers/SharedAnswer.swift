import Mirroring
import NIOCore
import OCI

/// An answer by way of another client's request for the same content, which this one follows.
final class SharedAnswer: Answer, MirrorFollower {
    /// How often a request has followed another one in vain.
    enum Turn {
        case first
        /// Once. All that are in this case can follow one of them.
        case second
        /// Twice: it gets an answer of its own.
        case alone

        var next: Self { self == .first ? .second : .alone }
    }

    private enum State {
        /// Goes to `ended`.
        case following
        /// The other answer has come, or this one has stopped.
        case ended
    }

    private let context: AnswerContext
    private let turn: Turn
    private var state = State.following
    private(set) var source: PeerAddress?

    init(_ context: AnswerContext, turn: Turn) {
        self.context = context
        self.turn = turn
    }

    // MARK: Answer

    func start() {
        context.exchange.origin = .peer
    }

    func madeNoProgress(for idle: TimeAmount, bufferedBytes: Int64) -> Bool {
        guard case .following = state else { return false }
        // The other request may have a reason to take long that this one has not.
        lookAnew(isInVain: true)
        return true
    }

    func stop() {
        state = .ended
    }

    // MARK: MirrorFollower

    var arrived: NIODeadline { context.exchange.request.started }

    func share(
        _ ending: TransferEnding,
        of transfer: Transfer,
        _ bytes: ByteBuffer?,
        whenSent: @escaping @Sendable () -> Void
    ) {
        guard case .following = state else { return whenSent() }
        state = .ended
        source = transfer.lastPeer?.address
        let report = MirrorReport(context.request, services: context.services, loop: context.loop, started: arrived)
        let record = report.count(ending, of: transfer, isShared: true)
        if ending == .complete, let content = transfer.delivery.content {
            context.sendRelayed(head: content, source: source)
        }
        if let bytes { context.sendRelayed(body: bytes, whenSent: whenSent) } else { whenSent() }
        context.finishRelayed(ending)
        // The client does not wait for it.
        report.log(record)
    }

    func lookAnew(isInVain: Bool) {
        guard case .following = state else { return }
        context.mirror(turn: isInVain ? turn.next : turn)
    }
}

extension AnswerContext {
    /// Has other nodes answer, unless another node asks: its request is never forwarded.
    ///
    /// - Parameter turn: how often the request has followed another one.
    func mirror(turn: SharedAnswer.Turn = .first) {
        guard exchange.isOpen else { return }
        guard !request.isFromPeer else { return sendNotFound() }
        guard turn != .alone, let key = sharedKey else {
            return exchange.handOver(to: MirrorAnswer(self, shared: nil))
        }
        let (mirror, isLeader) = loop.sharedMirrors.join(key, now: .now())
        guard !isLeader else { return exchange.handOver(to: MirrorAnswer(self, shared: mirror)) }
        let answer = SharedAnswer(self, turn: turn)
        mirror.add(answer)
        exchange.handOver(to: answer)
    }

    /// The key under which the request can be shared; `nil` where its content may be too large to wait as a whole.
    private var sharedKey: SharedMirrors.Key? {
        let request = requestToPeers
        guard request.range == nil else { return nil }
        let key = SharedMirrors.Key(content: request.content, isHead: request.isHead)
        guard request.content.kind == .blob, !request.isHead else { return key }
        guard case .digest(let digest) = request.content.target, let size = services.contents.size(of: digest) else {
            return nil
        }
        return size <= services.configuration.checks.checkedSize ? key : nil
    }
}
