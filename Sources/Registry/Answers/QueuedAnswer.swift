import Multiformats
import NIOCore

/// An answer to another node that waits for a place among the uploads, and then hands over to the answer that sends the
/// content.
final class QueuedAnswer: Answer {
    private enum State {
        /// Goes to `queued`, `ended`.
        case new
        /// The permit is a place in the queue until it is one among the uploads. Goes to `ended`.
        case queued(UploadPermit, timeout: Scheduled<Void>)
        case ended
    }

    private let context: AnswerContext
    private let peer: IPAddress
    private let next: (UploadPermit?) -> Void
    private var state = State.new

    private init(_ context: AnswerContext, _ peer: IPAddress, then next: @escaping (UploadPermit?) -> Void) {
        self.context = context
        self.peer = peer
        self.next = next
    }

    /// Sends content as soon as it has a place among the uploads, at once where it needs none.
    ///
    /// - Parameters:
    ///   - size: of the whole content.
    ///   - next: sends it; its place is free again when the permit goes.
    static func begin(_ context: AnswerContext, size: Int64, then next: @escaping (UploadPermit?) -> Void) {
        guard context.services.uploads.needsPermit(context.request, size: size),
            let peer = context.exchange.channel?.remoteAddress?.ip
        else { return next(nil) }
        context.exchange.handOver(to: QueuedAnswer(context, peer, then: next))
    }

    func start() {
        let uploads = context.services.uploads
        let eventLoop = context.eventLoop
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        switch uploads.enter(peer, admitted: { eventLoop.execute { bound.value.wasAdmitted() } }) {
        case .admitted(let permit):
            state = .ended
            next(permit)
        case .queued(let permit):
            let timeout: Scheduled<Void> = eventLoop.assumeIsolated().scheduleTask(in: uploads.timeout) { [weak self] in
                self?.timeOut()
            }
            state = .queued(permit, timeout: timeout)
        case .refused:
            state = .ended
            context.sendBusy("too many other transfers wait")
        }
    }

    func stop() {
        if case .queued(_, let timeout) = state { timeout.cancel() }
        state = .ended
    }

    private func wasAdmitted() {
        guard case .queued(let permit, let timeout) = state else { return }
        timeout.cancel()
        state = .ended
        next(permit)
    }

    private func timeOut() {
        guard case .queued = state else { return }
        // That lets go of the permit.
        state = .ended
        context.services.uploads.countTimeout()
        context.sendBusy("too many other transfers are under way")
    }
}
