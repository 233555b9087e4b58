import ContentStore
import NIOCore
import NIOHTTP1
import NIOPosix
import OCI

/// Answers from a file, straight from the page cache by sendfile(2).
extension RegistryConnection {
    /// How much of a file is handed to the channel at a time. A client that reads as fast as it is sent to would keep the
    /// event loop in one call of sendfile(2) until it has all.
    static let pieceSize: Int64 = 1 << 20
    /// How long the event loop sees to others, or sleeps, before the next piece. That also costs less than to go on at once:
    /// a client that takes much at a time is in the sender's way less often.
    private static let pieceInterval = TimeAmount.microseconds(10)
    /// How much of the end of a large file waits for the file's check.
    static let tailSize: Int64 = 64 << 10

    /// Answers with the content of a file, as far as it is what its digest says.
    func serve(_ request: ContentRequest, _ file: ContentFile, _ digest: Digest, _ mediaType: MediaType) {
        if request.noneMatch?.matches(digest) == true { return sendNotModified(digest) }
        exchange?.isLocal = true
        switch services.admission(of: file, digest, for: request) {
        case .send: sendFile(request, file, digest, mediaType)
        case .sendWhileChecking: sendFile(request, file, digest, mediaType, whileChecking: true)
        case .check: waitForCheck(request, file, digest, mediaType)
        case .refuse: fileIsFaulty(request)
        }
    }

    private func sendFile(
        _ request: ContentRequest,
        _ file: ContentFile,
        _ digest: Digest,
        _ mediaType: MediaType,
        whileChecking: Bool = false
    ) {
        guard var answer = makeHead(request, size: file.size, digest, mediaType) else { return }
        let part = answer.part
        if request.wantsCheck, case .sound? = services.known(file, digest) {
            answer.head.headers.add(name: checkedHeaderName, value: "true")
        }
        send(answer.head)
        guard !request.isHead, !part.isEmpty else { return finish(.local) }
        if sendPaced(request, file, digest, part) {
            if whileChecking, let id = exchange?.id { checkBeside(file, digest, id) }
            return
        }
        var served = ServedFile(file: file, digest: digest, end: part.upperBound, rest: part)
        let length = part.upperBound - part.lowerBound
        if whileChecking, length >= max(2 * Self.tailSize, Int64(services.configuration.checkedSize)) {
            let split = part.upperBound - Self.tailSize
            served.rest = part.lowerBound..<split
            served.tail = split..<part.upperBound
        }
        exchange?.file = served
        // What is smaller has left before it would be looked.
        if length > Int64(RegistryServer.writeBufferHigh) { watchFile() }
        guard let id = exchange?.id else { return }
        sendPieces(id)
        // What was handed to the channel leaves while the check goes on.
        if whileChecking { checkBeside(file, digest, id) }
    }

    private func checkBeside(_ file: ContentFile, _ digest: Digest, _ id: Exchange.ID) {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        services.check(file, digest, isUrgent: false) { [eventLoop] result in
            eventLoop.execute { bound.value.checkEnded(id, result) }
        }
    }

    /// Sends what is left of the file, a piece at a time, each when the one before has left, and ends the answer with the
    /// last one unless an end waits for the check.
    private func sendPieces(_ id: Exchange.ID) {
        guard exchange?.id == id, let served = exchange?.file, !served.rest.isEmpty else { return }
        let end = min(served.rest.upperBound, served.rest.lowerBound + Self.pieceSize)
        let piece = served.rest.lowerBound..<end
        exchange?.file?.rest = end..<served.rest.upperBound
        let isLast = end == served.rest.upperBound
        send(piece, of: served.file) {
            if isLast {
                self.bodyHasLeft(id)
            } else {
                self.eventLoop.assumeIsolated().scheduleTask(in: Self.pieceInterval) { self.sendPieces(id) }
            }
        }
        if isLast, served.tail == nil { finish(.local) } else { context?.flush() }
    }

    /// Hands a part of a file to the channel.
    ///
    /// - Parameter whenSent: called when it has left, unless the connection breaks before.
    func send(_ part: Range<Int64>, of file: ContentFile, whenSent: @escaping () -> Void) {
        // The descriptor stays the property of `file`: the handle is made to forget it before it goes.
        let handle = NIOFileHandle(_deprecatedTakingOwnershipOfDescriptor: file.fileDescriptor)
        let region = FileRegion(
            fileHandle: handle,
            readerIndex: Int(part.lowerBound),
            endIndex: Int(part.upperBound)
        )
        let promise = eventLoop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenComplete { result in
            withExtendedLifetime(file) { _ = try? handle.takeDescriptorOwnership() }
            if case .success = result { whenSent() }
        }
        send(.fileRegion(region), promise: promise)
    }

    // MARK: The check beside

    /// All but the end has left. The end does not wait for ever: whoever gets it checks it, too.
    private func bodyHasLeft(_ id: Exchange.ID) {
        guard exchange?.id == id, exchange?.file?.tail != nil else { return }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.scheduleTask(in: TimeAmount(services.configuration.tailTimeout)) { bound.value.sendTail(id) }
    }

    private func sendTail(_ id: Exchange.ID) {
        guard let exchange, exchange.id == id, let served = exchange.file, let tail = served.tail else { return }
        let isUnderWay = !served.rest.isEmpty
        self.exchange?.file?.tail = nil
        self.exchange?.file?.rest = served.rest.lowerBound..<tail.upperBound
        // Else it follows the piece that is being sent.
        if !isUnderWay { sendPieces(id) }
    }

    private func checkEnded(_ id: Exchange.ID, _ result: ContentChecks.Result) {
        guard exchange?.id == id else { return }
        switch result {
        case .sound, .undecided: sendTail(id)
        // Less than was promised: whoever asks takes the rest from elsewhere, or has not got it at all.
        case .faulty: endEarly()
        }
    }

    /// Ends an answer at once, whatever of it waits to be sent. What has left the process still arrives, and then a FIN.
    func endEarly() {
        guard let settled = exchange else { return }
        settle(settled, outcome: .cutShort)
        context?.close(promise: nil)
    }

    // MARK: The check before

    private func waitForCheck(
        _ request: ContentRequest,
        _ file: ContentFile,
        _ digest: Digest,
        _ mediaType: MediaType
    ) {
        guard let id = exchange?.id else { return }
        exchange?.awaitsCheck = true
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let resume: @Sendable (ContentChecks.Result) -> Void = { [eventLoop] result in
            eventLoop.execute { bound.value.resume(id, request, file, digest, mediaType, result) }
        }
        let configuration = services.configuration
        let timeout = TimeAmount(request.wantsCheck ? configuration.demandedCheckTimeout : configuration.checkTimeout)
        eventLoop.scheduleTask(in: timeout) { resume(.undecided) }
        services.check(file, digest, isUrgent: true, onResult: resume)
    }

    private func resume(
        _ id: Exchange.ID,
        _ request: ContentRequest,
        _ file: ContentFile,
        _ digest: Digest,
        _ mediaType: MediaType,
        _ result: ContentChecks.Result
    ) {
        guard exchange?.id == id, exchange?.awaitsCheck == true else { return }
        exchange?.awaitsCheck = false
        switch result {
        case .sound: sendFile(request, file, digest, mediaType)
        case .faulty: fileIsFaulty(request)
        case .undecided where request.wantsCheck:
            // A mirror asks again, or somebody else; that nobody has it would be wrong.
            sendBusy(request, "the content could not be checked in time")
        case .undecided: sendFile(request, file, digest, mediaType)
        }
    }

    private func fileIsFaulty(_ request: ContentRequest) {
        exchange?.isLocal = false
        mirror(request)
    }
}
