import ContentStore
import Logging
import NIOCore
import NIOHTTP1
import OCI

/// Answers from a store whose files are out of reach.
extension RegistryConnection {
    /// Content of a store whose files are out of reach. It is read in chunks; the next one is asked for when the last
    /// has left.
    func read(_ request: ContentRequest, _ digest: Digest, _ mediaType: MediaType?) {
        guard let id = exchange?.id else { return }
        exchange?.isLocal = true
        let reading = StoreReading(
            connection: NIOLoopBound(self, eventLoop: eventLoop),
            eventLoop: eventLoop,
            services: services,
            id: id,
            request: request,
            digest: digest
        )
        exchange?.reader = Task { await reading.run(mediaType) }
    }

    /// The check of the content goes on, and nothing is sent meanwhile; or it does so no more.
    fileprivate func readerAwaitsCheck(_ id: Exchange.ID, _ waits: Bool) {
        guard exchange?.id == id else { return }
        exchange?.awaitsCheck = waits
        exchange?.lastProgressAt = .now()
    }

    /// Whoever asks wants nothing but what was checked. A mirror asks again, or somebody else; that nobody has it would
    /// be wrong.
    fileprivate func readerIsUnchecked(_ id: Exchange.ID) {
        guard let exchange, exchange.id == id, let request = exchange.content else { return }
        self.exchange?.reader = nil
        sendBusy(request, "the content could not be checked in time")
    }

    /// What is left of the content is not sent.
    fileprivate func readerIsFaulty(_ id: Exchange.ID) {
        guard let exchange, exchange.id == id, exchange.reader != nil else { return }
        giveUpReader()
    }

    fileprivate func readerIsAbsent(_ id: Exchange.ID) {
        guard let exchange, exchange.id == id, exchange.readerRemaining == nil, let request = exchange.content else {
            return
        }
        self.exchange?.reader = nil
        self.exchange?.isLocal = false
        mirror(request)
    }

    /// - Returns: the part that has to be read, `nil` when there is nothing to read.
    fileprivate func readerOpened(
        _ id: Exchange.ID,
        _ request: ContentRequest,
        size: Int64,
        _ digest: Digest,
        _ mediaType: MediaType,
        isChecked: Bool
    ) -> Range<Int64>? {
        guard exchange?.id == id, exchange?.reader != nil,
            let (plainHead, part) = makeHead(request, size: size, digest, mediaType)
        else { return nil }
        var head = plainHead
        if isChecked { head.headers.add(name: checkedHeaderName, value: "true") }
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

    fileprivate func readerGave(_ bytes: ByteBuffer, _ id: Exchange.ID) -> EventLoopFuture<Void> {
        guard let exchange, exchange.id == id, exchange.reader != nil,
            let remaining = exchange.readerRemaining, bytes.readableBytes <= remaining
        else { return eventLoop.makeFailedFuture(CancellationError()) }
        if let head = exchange.heldHead {
            self.exchange?.heldHead = nil
            send(head)
        }
        self.exchange?.readerRemaining = remaining - Int64(bytes.readableBytes)
        return sendPaced(bytes, id)
    }

    fileprivate func readerEnded(_ id: Exchange.ID) {
        guard let exchange, exchange.id == id, exchange.reader != nil else { return }
        self.exchange?.reader = nil
        if exchange.readerRemaining == 0 { finish(.local) } else { cutShort() }
    }

    fileprivate func readerFailed(_ id: Exchange.ID, _ error: any Error) {
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
}

/// Content that a task reads from the store and hands to a connection. It is checked on the way where it can be.
private struct StoreReading: Sendable {
    let connection: NIOLoopBound<RegistryConnection>
    let eventLoop: any EventLoop
    let services: RegistryServices
    let id: Exchange.ID
    let request: ContentRequest
    let digest: Digest

    func run(_ mediaType: MediaType?) async {
        do {
            let opened = try await services.openUnopened(digest, mediaType: mediaType, kind: request.content.kind)
            guard let (reader, mediaType) = opened else { return tell { $0.readerIsAbsent(id) } }
            switch await admission(of: reader) {
            case .refuse: tell { $0.readerIsAbsent(id) }
            case .check: tell { $0.readerIsUnchecked(id) }
            case .send: try await send(reader, mediaType, isCheckedBeside: false)
            case .sendWhileChecking: try await send(reader, mediaType, isCheckedBeside: true)
            }
        } catch {
            tell { $0.readerFailed(id, error) }
        }
    }

    /// What is done with the content, after its check where that comes first: `check` when it did not end in time.
    private func admission(of reader: any ContentReader) async -> ContentAdmission {
        let admission = services.admission(of: reader, digest, for: request)
        guard admission == .check else { return admission }
        let configuration = services.configuration
        let timeout = request.wantsCheck ? configuration.demandedCheckTimeout : configuration.checkTimeout
        return switch await result(of: services.check(reader, digest, isUrgent: true), within: timeout) {
        case .sound: .send
        case .faulty: .refuse
        case .undecided: request.wantsCheck ? .check : .send
        }
    }

    private func result(of check: PendingCheck, within timeout: Duration) async -> ContentChecks.Result {
        tell { $0.readerAwaitsCheck(id, true) }
        let result = await check.result(within: timeout, on: eventLoop)
        tell { $0.readerAwaitsCheck(id, false) }
        return result
    }

    /// Sends what is asked for. The last chunk waits for the check: who gets all of it hashes it on the way, and for who
    /// gets a part it is read once more beside.
    private func send(_ reader: any ContentReader, _ mediaType: MediaType, isCheckedBeside: Bool) async throws {
        let isChecked = request.wantsCheck && services.isKnownSound(reader, digest)
        let size = reader.size
        let part = try await eventLoop.submit {
            connection.value.readerOpened(id, request, size: size, digest, mediaType, isChecked: isChecked)
        }.get()
        guard let part else { return }
        let isWhole = part == 0..<size
        var hasher = isCheckedBeside && isWhole ? DigestHasher(digest.algorithm) : nil
        let check = isCheckedBeside && !isWhole ? services.check(reader, digest, isUrgent: false) : nil
        var position = part.lowerBound
        do {
            for try await chunk in reader.read(part) {
                position += Int64(chunk.count)
                let isLast = position >= part.upperBound
                var result = check?.result
                if hasher != nil {
                    chunk.withUnsafeBytes { hasher?.update($0) }
                    if isLast, let found = hasher?.finish() {
                        result = services.store.checks?.note(reader, digest, found: found)
                    }
                } else if let check, isLast {
                    result = await self.result(of: check, within: services.configuration.tailTimeout)
                }
                if case .faulty? = result { return tell { $0.readerIsFaulty(id) } }
                let bytes = ByteBuffer(bytes: chunk)
                try await eventLoop.flatSubmit { connection.value.readerGave(bytes, id) }.get()
            }
        } catch {
            services.store.checks?.note(reader, digest, failure: error)
            throw error
        }
        tell { $0.readerEnded(id) }
    }

    private func tell(_ message: @escaping @Sendable (RegistryConnection) -> Void) {
        eventLoop.execute { [connection] in message(connection.value) }
    }
}
