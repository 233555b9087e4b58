import ContentStore
import NIOCore
import NIOHTTP1
import NIOPosix
import OCI

/// Answers from a file, straight from the page cache by sendfile(2).
extension RegistryConnection {
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
        guard var (head, part) = makeHead(request, size: file.size, digest, mediaType) else { return }
        if request.wantsCheck, case .sound? = services.known(file, digest) {
            head.headers.add(name: checkedHeaderName, value: "true")
        }
        send(head)
        guard !request.isHead, !part.isEmpty else { return finish(.local) }
        if sendPaced(request, file, digest, part) {
            if whileChecking, let id = exchange?.id { checkBeside(file, digest, id) }
            return
        }
        var served = ServedFile(file: file, digest: digest, end: part.upperBound)
        let length = part.upperBound - part.lowerBound
        if whileChecking, length >= max(2 * Self.tailSize, Int64(services.configuration.checkedSize)) {
            let split = part.upperBound - Self.tailSize
            served.tail = split..<part.upperBound
            part = part.lowerBound..<split
        }
        exchange?.file = served
        // What is smaller has left before it would be looked.
        if length > Int64(RegistryServer.writeBufferHigh) { watchFile() }
        guard whileChecking, let id = exchange?.id else {
            send(part, of: file)
            return finish(.local)
        }
        // What is handed to the channel now leaves while the check goes on.
        if served.tail == nil {
            send(part, of: file)
            finish(.local)
        } else {
            let promise = eventLoop.makePromise(of: Void.self)
            promise.futureResult.assumeIsolated().whenSuccess { self.bodyHasLeft(id) }
            send(part, of: file, promise: promise)
            context?.flush()
        }
        checkBeside(file, digest, id)
    }

    private func checkBeside(_ file: ContentFile, _ digest: Digest, _ id: Exchange.ID) {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        services.check(file, digest, isUrgent: false) { [eventLoop] result in
            eventLoop.execute { bound.value.checkEnded(id, result) }
        }
    }

    private func send(_ part: Range<Int64>, of file: ContentFile, promise: EventLoopPromise<Void>? = nil) {
        // The descriptor stays the property of `file`: the handle is made to forget it before it goes.
        let handle = NIOFileHandle(_deprecatedTakingOwnershipOfDescriptor: file.fileDescriptor)
        let region = FileRegion(
            fileHandle: handle,
            readerIndex: Int(part.lowerBound),
            endIndex: Int(part.upperBound)
        )
        let promise = promise ?? eventLoop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenComplete { _ in
            withExtendedLifetime(file) { _ = try? handle.takeDescriptorOwnership() }
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
        self.exchange?.file?.tail = nil
        send(tail, of: served.file)
        finish(.local)
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
