import ContentStore
import NIOCore
import NIOHTTP1
import OCI

/// An answer from a store whose files are out of reach. It reads the content in chunks and asks for the next one when
/// the last has left.
final class ReaderAnswer: Answer {
    private enum State {
        /// The store has yet to open the content, or its check comes first. Goes to `opened`, `ended`.
        case opening
        /// The head waits for the first byte: a store that fails before costs the client nothing. Goes to `sending`,
        /// `ended`.
        case opened(HTTPResponseHead, remaining: Int64)
        /// The number of bytes left to read. Goes to `ended`.
        case sending(remaining: Int64)
        /// What the store still gives is not taken.
        case ended
    }

    private let context: AnswerContext
    private let digest: Digest
    private let mediaType: MediaType?
    private var permit: UploadPermit?
    private var state = State.opening
    /// Whether a check of the content goes on, and nothing is sent meanwhile.
    private var awaitsCheck = false
    private var task: Task<Void, Never>?

    init(_ context: AnswerContext, _ digest: Digest, _ mediaType: MediaType?, permit: UploadPermit?) {
        self.context = context
        self.digest = digest
        self.mediaType = mediaType
        self.permit = permit
    }

    private var exchange: Exchange { context.exchange }

    // MARK: Answer

    func start() {
        exchange.origin = .store
        let reading = StoreReading(
            answer: NIOLoopBound(self, eventLoop: context.eventLoop),
            eventLoop: context.eventLoop,
            content: context.services.content,
            request: context.request,
            digest: digest,
            timeouts: StoreReading.Timeouts(context.services.configuration)
        )
        task = Task { [mediaType] in await reading.run(mediaType) }
    }

    func madeNoProgress(for idle: TimeAmount, bufferedBytes: Int64) -> Bool {
        if case .ended = state { return false }
        guard !awaitsCheck, bufferedBytes <= 0,
            idle >= TimeAmount(context.services.configuration.peers.progressTimeout)
        else { return false }
        context.services.telemetry.record(.storeTimedOut(key: context.request.key))
        giveUp()
        return true
    }

    func stop() {
        state = .ended
        task?.cancel()
        task = nil
        permit = nil
    }

    // MARK: What the reading tells

    fileprivate func awaitsCheck(_ waits: Bool) {
        awaitsCheck = waits
        exchange.restartProgress()
    }

    /// The content is not held after all, or must not be sent.
    fileprivate func isAbsent() {
        if case .opening = state { context.mirror() }
    }

    /// The peer asks for nothing but what was checked. A mirror asks again, here or elsewhere; that no node has the
    /// content would be wrong.
    fileprivate func isUnchecked() {
        guard case .opening = state else { return }
        state = .ended
        context.sendBusy("the content could not be checked in time")
    }

    /// - Returns: the part that is to be read, `nil` when there is nothing to read.
    fileprivate func opened(size: Int64, _ mediaType: MediaType, isChecked: Bool) -> Range<Int64>? {
        guard case .opening = state else { return nil }
        guard let (head, part) = context.makeHead(size: size, digest, mediaType, isChecked: isChecked) else {
            state = .ended
            return nil
        }
        guard !context.request.isHead, !part.isEmpty else {
            state = .ended
            exchange.send(head)
            exchange.finish(.local)
            return nil
        }
        state = .opened(head, remaining: part.upperBound - part.lowerBound)
        return part
    }

    /// - Returns: succeeds when the bytes have left.
    fileprivate func take(_ bytes: ByteBuffer) -> EventLoopFuture<Void> {
        let promise = context.eventLoop.makePromise(of: Void.self)
        let left: Int64
        switch state {
        case .opened(let head, let remaining):
            left = remaining - Int64(bytes.readableBytes)
            if left >= 0 { exchange.send(head) }
        case .sending(let remaining): left = remaining - Int64(bytes.readableBytes)
        case .opening, .ended: left = -1
        }
        guard left >= 0 else {
            promise.fail(CancellationError())
            return promise.futureResult
        }
        state = .sending(remaining: left)
        send(bytes, promise)
        return promise.futureResult
    }

    fileprivate func readingEnded() {
        switch state {
        case .sending(remaining: 0):
            state = .ended
            exchange.finish(.local)
        case .opening, .opened, .sending: giveUp()
        case .ended: break
        }
    }

    fileprivate func readingFailed(_ error: any Error) {
        if case .ended = state { return }
        context.services.telemetry.record(.readFailed(key: context.request.key, error))
        giveUp()
    }

    /// What is left of the content is not sent: another node answers, or the answer is cut short.
    fileprivate func giveUp() {
        let last = state
        state = .ended
        task?.cancel()
        switch last {
        case .opening, .opened: context.mirror()
        case .sending: exchange.cutShort()
        case .ended: break
        }
    }

    // MARK: The rate

    /// Sends bytes; as fast as the rate limit allows where they are for another node.
    private func send(_ bytes: ByteBuffer, _ promise: EventLoopPromise<Void>) {
        let uploads = context.services.uploads
        guard let chunkSize = uploads.chunkSize(context.request, length: .max) else {
            exchange.send(.byteBuffer(bytes), promise: promise)
            return exchange.flush()
        }
        sendChunk(of: bytes, chunkSize, promise)
    }

    private func sendChunk(of bytes: ByteBuffer, _ chunkSize: Int, _ promise: EventLoopPromise<Void>) {
        var rest = bytes
        guard case .sending = state else { return promise.fail(CancellationError()) }
        let chunk = rest.readSlice(length: min(chunkSize, rest.readableBytes))
        guard let chunk, chunk.readableBytes > 0 else { return promise.succeed() }
        context.services.uploads.whenGranted(chunk.readableBytes, on: context.eventLoop) {
            guard case .sending = self.state else { return promise.fail(CancellationError()) }
            let sent = self.context.eventLoop.makePromise(of: Void.self)
            sent.futureResult.assumeIsolated().whenComplete { result in
                switch result {
                case .success: self.sendChunk(of: rest, chunkSize, promise)
                case .failure(let error): promise.fail(error)
                }
            }
            self.exchange.send(.byteBuffer(chunk), promise: sent)
            self.exchange.flush()
        }
    }
}

/// Content that a task reads from the store and hands to an answer. It is checked on the way where it can be.
private struct StoreReading: Sendable {
    /// For how long a check may be waited for.
    struct Timeouts: Sendable {
        var check: Duration
        var demandedCheck: Duration
        var tail: Duration

        init(_ configuration: RegistryConfiguration) {
            check = configuration.checks.checkTimeout
            demandedCheck = configuration.checks.demandedCheckTimeout
            tail = configuration.checks.tailTimeout
        }
    }

    let answer: NIOLoopBound<ReaderAnswer>
    let eventLoop: any EventLoop
    let content: LocalContent
    let request: ContentRequest
    let digest: Digest
    let timeouts: Timeouts

    func run(_ mediaType: MediaType?) async {
        do {
            let opened = try await content.open(digest, mediaType: mediaType, kind: request.content.kind)
            guard let (reader, mediaType) = opened else { return tell { $0.isAbsent() } }
            switch await admission(of: reader) {
            case .refuse: tell { $0.isAbsent() }
            case .check: tell { $0.isUnchecked() }
            case .send: try await send(reader, mediaType, isCheckedBeside: false)
            case .sendWhileChecking: try await send(reader, mediaType, isCheckedBeside: true)
            }
        } catch {
            tell { $0.readingFailed(error) }
        }
    }

    /// What is done with the content, after its check where that comes first: `check` when it did not end in time.
    private func admission(of reader: any ContentReader) async -> ContentAdmission {
        let admission = content.admission(of: reader, digest, for: request)
        guard admission == .check else { return admission }
        let timeout = request.wantsCheck ? timeouts.demandedCheck : timeouts.check
        return switch await result(of: content.check(reader, digest, isUrgent: true), within: timeout) {
        case .sound: .send
        case .faulty: .refuse
        case .undecided: request.wantsCheck ? .check : .send
        }
    }

    private func result(of check: PendingCheck, within timeout: Duration) async -> ContentChecks.Result {
        tell { $0.awaitsCheck(true) }
        let result = await check.result(within: timeout, on: eventLoop)
        tell { $0.awaitsCheck(false) }
        return result
    }

    /// Sends what is asked for. The last chunk waits for the check: content that is read whole is hashed on the way,
    /// and content of which a part is sent is read once more beside.
    private func send(_ reader: any ContentReader, _ mediaType: MediaType, isCheckedBeside: Bool) async throws {
        let isChecked = request.wantsCheck && content.isKnownSound(reader, digest)
        let size = reader.size
        let part = try await eventLoop.submit {
            answer.value.opened(size: size, mediaType, isChecked: isChecked)
        }.get()
        guard let part else { return }
        let isWhole = part == 0..<size
        var hasher = isCheckedBeside && isWhole ? DigestHasher(digest.algorithm) : nil
        let check = isCheckedBeside && !isWhole ? content.check(reader, digest, isUrgent: false) : nil
        var position = part.lowerBound
        do {
            for try await chunk in reader.read(part) {
                position += Int64(chunk.count)
                let isLast = position >= part.upperBound
                var result = check?.result
                if hasher != nil {
                    chunk.withUnsafeBytes { hasher?.update($0) }
                    if isLast, let computed = hasher?.finish() {
                        result = content.note(reader, digest, computed: computed)
                    }
                } else if let check, isLast {
                    result = await self.result(of: check, within: timeouts.tail)
                }
                if case .faulty? = result { return tell { $0.giveUp() } }
                let bytes = ByteBuffer(bytes: chunk)
                try await eventLoop.flatSubmit { answer.value.take(bytes) }.get()
            }
        } catch {
            content.note(reader, digest, failure: error)
            throw error
        }
        tell { $0.readingEnded() }
    }

    private func tell(_ message: @escaping @Sendable (ReaderAnswer) -> Void) {
        eventLoop.execute { [answer] in message(answer.value) }
    }
}
