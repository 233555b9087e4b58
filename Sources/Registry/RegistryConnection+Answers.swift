import ContentStore
import Logging
import NIOCore
import NIOHTTP1
import OCI
import Routing
import Synchronization

extension RegistryConnection {
    /// Does what a request asks for.
    func answer(_ plan: RequestPlan) {
        switch plan {
        case .base: send(HTTPResponseHead.base)
        case .live: send(HTTPResponseHead.text(.ok, "alive"))
        case .ready: answerReadiness()
        case .refuse(let error):
            send(HTTPResponseHead.error(error), outcome: error.status == 404 ? .notFound : .rejected)
        case .reject(let status, let text): send(HTTPResponseHead.text(status, text), outcome: .rejected)
        case .content(let request):
            exchange?.content = request
            switch services.find(request) {
            case .file(let file, let digest, let mediaType): serve(request, file, digest, mediaType)
            case .unopened(let digest, let mediaType): read(request, digest, mediaType)
            case .absent: mirror(request)
            }
        }
    }

    private func answerReadiness() {
        if services.isDraining.load(ordering: .relaxed) {
            return send(HTTPResponseHead.text(.serviceUnavailable, "shutting down"))
        }
        switch services.readiness() {
        case .ready(let text): send(HTTPResponseHead.text(.ok, text))
        case .notReady(let text): send(HTTPResponseHead.text(.serviceUnavailable, text))
        }
    }

    /// Sends an answer whose body is a short text.
    func send(_ answer: (head: HTTPResponseHead, body: String), outcome: RegistryMetrics.Outcome? = nil) {
        guard let context, let exchange else { return }
        send(answer.head)
        if !exchange.isHead { send(.byteBuffer(context.channel.allocator.buffer(string: answer.body))) }
        finish(outcome)
    }

    private func sendNotFound(_ request: ContentRequest) {
        send(HTTPResponseHead.error(request.content.notFound), outcome: .notFound)
    }

    /// The head of an answer with content, and which part of it has to follow; `nil` when the answer was 416.
    private func makeHead(
        _ request: ContentRequest,
        size: Int64,
        _ digest: Digest,
        _ mediaType: MediaType
    ) -> (head: HTTPResponseHead, part: Range<Int64>)? {
        var part = 0..<max(0, size)
        if let range = request.range {
            guard let resolved = range.resolved(size: size) else {
                send(HTTPResponseHead.rangeNotSatisfiable(size: size, key: request.key), outcome: .rejected)
                return nil
            }
            part = resolved
        }
        let head = HTTPResponseHead.content(
            size: size,
            range: part,
            isPartial: request.range != nil,
            mediaType: mediaType.text,
            digest: digest,
            kind: request.content.kind
        )
        return (head, part)
    }

    // MARK: From a file

    /// Content leaves by sendfile(2), straight from the page cache.
    private func serve(_ request: ContentRequest, _ file: ContentFile, _ digest: Digest, _ mediaType: MediaType) {
        exchange?.isLocal = true
        guard let (head, part) = makeHead(request, size: file.size, digest, mediaType) else { return }
        send(head)
        if !request.isHead, !part.isEmpty {
            exchange?.file = ServedFile(file: file, end: part.upperBound)
            // The descriptor stays the property of `file`: the handle is made to forget it before it goes.
            let handle = NIOFileHandle(_deprecatedTakingOwnershipOfDescriptor: file.fileDescriptor)
            let region = FileRegion(
                fileHandle: handle,
                readerIndex: Int(part.lowerBound),
                endIndex: Int(part.upperBound)
            )
            let promise = eventLoop.makePromise(of: Void.self)
            promise.futureResult.assumeIsolated().whenComplete { _ in
                withExtendedLifetime(file) { _ = try? handle.takeDescriptorOwnership() }
            }
            send(.fileRegion(region), promise: promise)
        }
        finish(.local)
    }

    // MARK: From a reader

    /// Content of a store whose files are out of reach. It is read in chunks; the next one is asked for when the last
    /// has left.
    private func read(_ request: ContentRequest, _ digest: Digest, _ mediaType: MediaType?) {
        guard let id = exchange?.id else { return }
        exchange?.isLocal = true
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        exchange?.reader = Task { [services, eventLoop] in
            do {
                let opened = try await services.openUnopened(digest, mediaType: mediaType, kind: request.content.kind)
                guard let (reader, mediaType) = opened else {
                    return eventLoop.execute { bound.value.readerIsAbsent(id) }
                }
                let part = try await eventLoop.submit {
                    bound.value.readerOpened(id, request, size: reader.size, digest, mediaType)
                }.get()
                guard let part else { return }
                for try await chunk in reader.read(part) {
                    let bytes = ByteBuffer(bytes: chunk)
                    try await eventLoop.flatSubmit { bound.value.readerGave(bytes, id) }.get()
                }
                eventLoop.execute { bound.value.readerEnded(id) }
            } catch {
                eventLoop.execute { bound.value.readerFailed(id, error) }
            }
        }
    }

    private func readerIsAbsent(_ id: Exchange.ID) {
        guard let exchange, exchange.id == id, exchange.readerRemaining == nil, let request = exchange.content else {
            return
        }
        self.exchange?.reader = nil
        self.exchange?.isLocal = false
        mirror(request)
    }

    /// - Returns: the part that has to be read, `nil` when there is nothing to read.
    private func readerOpened(
        _ id: Exchange.ID,
        _ request: ContentRequest,
        size: Int64,
        _ digest: Digest,
        _ mediaType: MediaType
    ) -> Range<Int64>? {
        guard exchange?.id == id, exchange?.reader != nil,
            let (head, part) = makeHead(request, size: size, digest, mediaType)
        else { return nil }
        guard !request.isHead, !part.isEmpty else {
            send(head)
            finish(.local)
            return nil
        }
        // Held back until there is a first byte: a store that fails before costs the client nothing.
        exchange?.heldHead = head
        exchange?.readerRemaining = part.upperBound - part.lowerBound
        return part
    }

    private func readerGave(_ bytes: ByteBuffer, _ id: Exchange.ID) -> EventLoopFuture<Void> {
        guard let exchange, exchange.id == id, exchange.reader != nil,
            let remaining = exchange.readerRemaining, bytes.readableBytes <= remaining
        else { return eventLoop.makeFailedFuture(CancellationError()) }
        if let head = exchange.heldHead {
            self.exchange?.heldHead = nil
            send(head)
        }
        self.exchange?.readerRemaining = remaining - Int64(bytes.readableBytes)
        let promise = eventLoop.makePromise(of: Void.self)
        send(.byteBuffer(bytes), promise: promise)
        context?.flush()
        return promise.futureResult
    }

    private func readerEnded(_ id: Exchange.ID) {
        guard let exchange, exchange.id == id, exchange.reader != nil else { return }
        self.exchange?.reader = nil
        if exchange.readerRemaining == 0 { finish(.local) } else { cutShort() }
    }

    private func readerFailed(_ id: Exchange.ID, _ error: any Error) {
        guard let exchange, exchange.id == id, exchange.reader != nil else { return }
        services.logger.warning(
            "cannot read content",
            metadata: ["key": "\(exchange.content?.key ?? "")", "error": "\(error)"]
        )
        giveUpReader()
    }

    /// The store has not answered or has ceased to give bytes.
    func readerStalled() {
        services.logger.warning(
            "the content store does not answer",
            metadata: ["key": "\(exchange?.content?.key ?? "")"]
        )
        exchange?.reader?.cancel()
        giveUpReader()
    }

    private func giveUpReader() {
        guard let exchange, let request = exchange.content else { return }
        self.exchange?.reader = nil
        self.exchange?.heldHead = nil
        if exchange.status == 0 {
            self.exchange?.isLocal = false
            mirror(request)
        } else {
            cutShort()
        }
    }

    /// Ends an answer before its time, with a clean close: the client asks for the rest with a range.
    private func cutShort() {
        exchange?.keepsAlive = false
        finish(.cutShort)
    }
}

// MARK: - From a peer

extension RegistryConnection: MirrorClient {
    /// Looks for the content at other nodes, unless another node asks.
    private func mirror(_ request: ContentRequest) {
        guard !request.isFromPeer else { return sendNotFound(request) }
        let session = MirrorSession(
            request,
            client: self,
            services: services,
            pool: pool,
            eventLoop: eventLoop
        )
        exchange?.mirror = session
        session.start()
    }

    var takesBytes: Bool {
        context?.channel.isWritable ?? false
    }

    func mirrorSends(head content: MirroredContent) {
        guard let kind = exchange?.content?.content.kind else { return }
        send(
            .content(
                size: content.size,
                range: content.range,
                isPartial: content.isPartial,
                mediaType: content.mediaType,
                digest: content.digest,
                kind: kind
            )
        )
    }

    func mirrorSends(body: ByteBuffer) {
        send(.byteBuffer(body))
    }

    func mirrorFlushes() {
        context?.flush()
    }

    func mirrorEnds(_ ending: MirrorEnding) {
        exchange?.mirror = nil
        guard let request = exchange?.content else { return }
        switch ending {
        case .complete: finish(.mirrored)
        case .cutShort: cutShort()
        case .notFound: sendNotFound(request)
        case .rangeNotSatisfiable(let size):
            send(HTTPResponseHead.rangeNotSatisfiable(size: size, key: request.key), outcome: .rejected)
        case .clientGone: break
        }
    }
}
