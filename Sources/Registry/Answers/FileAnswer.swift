import ContentStore
import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix

/// An answer from a file of this node, straight from the page cache by sendfile(2), as far as the file is what its
/// digest says.
final class FileAnswer: Answer {
    private enum State {
        /// Nothing was sent. Goes to `checking`, `sending`, `pacing`, `ended`.
        case new(ContentAdmission)
        /// The check of the file comes first. Goes to `sending`, `pacing`, `ended`.
        case checking(timeout: Scheduled<Void>)
        /// Pieces leave, each when the one before has. Goes to `ended`.
        case sending(FilePieces)
        /// Chunks leave as fast as the rate limit allows, of which these bytes are left. Goes to `ended`.
        case pacing(Range<Int64>, chunkSize: Int64)
        case ended
    }

    /// How long the event loop serves others, or sleeps, before the next piece. That also costs less than the next
    /// piece at once: a client that reads much at a time contends with the sender less often.
    private static let pieceInterval = TimeAmount.microseconds(10)
    /// Parts up to this size are read and leave together with the head, which costs less than sendfile(2).
    private static let smallPart: Int64 = 16 << 10

    private let context: AnswerContext
    private let found: FoundFile
    private var permit: UploadPermit?
    private var state: State
    /// Where the part ends that the head has promised.
    private var end: Int64 = 0

    private init(
        _ context: AnswerContext,
        _ found: FoundFile,
        permit: UploadPermit?,
        _ admission: ContentAdmission
    ) {
        self.context = context
        self.found = found
        self.permit = permit
        state = .new(admission)
    }

    /// Answers from a file: at once where that is possible, else by an answer that the exchange owns. A file that must
    /// not be sent counts as not held.
    static func begin(_ context: AnswerContext, _ found: FoundFile, permit: UploadPermit? = nil) {
        context.exchange.origin = .store
        let admission = context.services.content.admission(of: found.file, found.digest, for: context.request)
        guard admission != .refuse else { return context.mirror() }
        if admission == .send, found.file.size <= smallPart, sendSmall(context, found) { return }
        context.exchange.handOver(to: FileAnswer(context, found, permit: permit, admission))
    }

    /// Answers with a part that is read at once.
    ///
    /// - Returns: `false`, with nothing sent, where that is not possible.
    private static func sendSmall(_ context: AnswerContext, _ found: FoundFile) -> Bool {
        guard let channel = context.exchange.channel, let (head, part) = makeHead(context, found) else { return true }
        let count = part.count
        var body = ByteBuffer()
        if !context.request.isHead, count > 0 {
            body = channel.allocator.buffer(capacity: count)
            let read = body.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { buffer in
                max(0, pread(found.file.fileDescriptor, buffer.baseAddress, count, off_t(part.lowerBound)))
            }
            guard read == count else { return false }
            _ = context.services.uploads.chunkSize(context.request, length: Int64(count))
        }
        context.exchange.send(head, body, .local)
        return true
    }

    private static func makeHead(
        _ context: AnswerContext,
        _ found: FoundFile
    ) -> (head: HTTPResponseHead, part: Range<Int64>)? {
        context.makeHead(
            size: found.file.size,
            found.digest,
            found.mediaType,
            isChecked: context.request.wantsCheck
                && context.services.content.isKnownSound(found.file, found.digest)
        )
    }

    private var exchange: Exchange { context.exchange }

    // MARK: Answer

    var progressInterval: TimeAmount {
        // A file that is sent may be cut short meanwhile.
        switch state {
        case .sending, .pacing: .milliseconds(100)
        case .new, .checking, .ended: ConnectionRules.progressInterval
        }
    }

    func start() {
        guard case .new(let admission) = state else { return }
        if admission == .check { waitForCheck() } else { send(whileChecking: admission == .sendWhileChecking) }
    }

    func madeNoProgress(for idle: TimeAmount, bufferedBytes: Int64) -> Bool {
        switch state {
        case .sending, .pacing: break
        case .new, .checking, .ended: return false
        }
        guard bufferedBytes > 0, found.file.isShorter(than: end) else { return false }
        // sendfile would find nothing to send for ever.
        context.services.content.fileWasTruncated(found, key: context.request.key)
        exchange.cutShortNow()
        return true
    }

    func stop() {
        if case .checking(let timeout) = state { timeout.cancel() }
        state = .ended
        permit = nil
    }

    // MARK: The body

    private func send(whileChecking: Bool) {
        guard let (head, part) = Self.makeHead(context, found) else { return }
        exchange.send(head)
        guard !context.request.isHead, !part.isEmpty else { return exchange.finish(.local) }
        end = part.upperBound
        let length = part.upperBound - part.lowerBound
        // What is smaller has left before it would be looked.
        if length > Int64(ConnectionRules.writeBuffer.high) { exchange.checkProgress(within: .milliseconds(100)) }
        if let chunkSize = context.services.uploads.chunkSize(context.request, length: length) {
            state = .pacing(part, chunkSize: Int64(chunkSize))
            sendChunk()
        } else {
            let isLarge = length >= max(2 * FilePieces.tailSize, context.services.configuration.checks.checkedSize)
            state = .sending(FilePieces(part, holdsTail: whileChecking && isLarge))
            sendPiece()
        }
        // What was handed to the channel leaves while the check goes on.
        if whileChecking { checkBeside() }
    }

    /// Sends the next piece, and ends the answer with the last one.
    private func sendPiece() {
        guard case .sending(var pieces) = state, let piece = pieces.next() else { return }
        state = .sending(pieces)
        write(piece) { self.pieceHasLeft() }
        if pieces.isDone { exchange.finish(.local) } else { exchange.flush() }
    }

    private func pieceHasLeft() {
        guard case .sending(let pieces) = state else { return }
        if pieces.hasNext {
            context.eventLoop.assumeIsolated().scheduleTask(in: Self.pieceInterval) { self.sendPiece() }
        } else if pieces.isHolding {
            // The tail does not wait for ever: the client checks it, too.
            let timeout = TimeAmount(context.services.configuration.checks.tailTimeout)
            context.eventLoop.assumeIsolated().scheduleTask(in: timeout) { [weak self] in self?.releaseTail() }
        }
    }

    private func releaseTail() {
        guard case .sending(var pieces) = state else { return }
        let goesOn = pieces.releaseTail()
        state = .sending(pieces)
        if goesOn { sendPiece() }
    }

    /// Sends the next chunk as soon as the rate allows, and ends the answer after the last one.
    private func sendChunk() {
        guard case .pacing(let rest, let chunkSize) = state else { return }
        guard !rest.isEmpty else { return exchange.finish(.local) }
        let chunk = rest.lowerBound..<min(rest.upperBound, rest.lowerBound + chunkSize)
        context.services.uploads.whenGranted(chunk.count, on: context.eventLoop) { [weak self] in
            guard let self, case .pacing = state else { return }
            state = .pacing(chunk.upperBound..<rest.upperBound, chunkSize: chunkSize)
            write(chunk) { self.sendChunk() }
            exchange.flush()
        }
    }

    /// Hands a part of the file to the channel.
    ///
    /// - Parameter whenSent: called when it has left, unless the connection breaks before.
    private func write(_ part: Range<Int64>, whenSent: @escaping () -> Void) {
        let file = found.file
        // The descriptor stays the property of `file`: the handle is made to forget it before it goes.
        let handle = NIOFileHandle(_deprecatedTakingOwnershipOfDescriptor: file.fileDescriptor)
        let region = FileRegion(
            fileHandle: handle,
            readerIndex: Int(part.lowerBound),
            endIndex: Int(part.upperBound)
        )
        let promise = context.eventLoop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenComplete { result in
            withExtendedLifetime(file) { _ = try? handle.takeDescriptorOwnership() }
            if case .success = result { whenSent() }
        }
        exchange.send(.fileRegion(region), promise: promise)
    }

    // MARK: The check

    private func waitForCheck() {
        let configuration = context.services.configuration
        let isDemanded = context.request.wantsCheck
        let timeout = TimeAmount(
            isDemanded ? configuration.checks.demandedCheckTimeout : configuration.checks.checkTimeout
        )
        state = .checking(
            timeout: context.eventLoop.assumeIsolated().scheduleTask(in: timeout) { [weak self] in
                self?.wasChecked(.undecided)
            }
        )
        check(isUrgent: true) { $0.wasChecked($1) }
    }

    private func wasChecked(_ result: ContentChecks.Result) {
        guard case .checking(let timeout) = state else { return }
        timeout.cancel()
        switch result {
        case .sound: send(whileChecking: false)
        case .faulty: context.mirror()
        case .undecided where context.request.wantsCheck:
            // A mirror asks again, here or elsewhere; that no node has the content would be wrong.
            context.sendBusy("the content could not be checked in time")
        case .undecided: send(whileChecking: false)
        }
    }

    private func checkBeside() {
        check(isUrgent: false) { $0.wasCheckedBeside($1) }
    }

    private func wasCheckedBeside(_ result: ContentChecks.Result) {
        switch state {
        case .sending, .pacing: break
        case .new, .checking, .ended: return
        }
        switch result {
        case .sound, .undecided: releaseTail()
        // Less than was promised: the client takes the rest from elsewhere, or has not got the content at all.
        case .faulty: exchange.cutShortNow()
        }
    }

    private func check(
        isUrgent: Bool,
        _ onResult: @escaping @Sendable (FileAnswer, ContentChecks.Result) -> Void
    ) {
        let eventLoop = context.eventLoop
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        context.services.content.check(found.file, found.digest, isUrgent: isUrgent) { result in
            eventLoop.execute { onResult(bound.value, result) }
        }
    }
}

extension ContentFile {
    /// Whether the file has become shorter than it was.
    fileprivate func isShorter(than size: Int64) -> Bool {
        var status = stat()
        return fstat(fileDescriptor, &status) != 0 || status.st_size < size
    }
}
