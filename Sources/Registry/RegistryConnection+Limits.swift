import ContentStore
import Mirroring
import NIOCore
import NIOHTTP1
import NIOPosix
import OCI

/// How many bodies are sent to other nodes at a time, and how fast.
extension RegistryConnection {
    /// Goes on when it is the turn of this body, at once where it is small or not for another node.
    func whenAdmitted(_ request: ContentRequest, size: Int64, then serve: @escaping () -> Void) {
        guard request.isFromPeer, !request.isHead, let id = exchange?.id, let peer = context?.remoteAddress?.ip,
            length(of: request, size: size) > services.configuration.smallBody
        else { return serve() }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let entry = services.uploads.enter(peer) { [eventLoop] ticket in
            eventLoop.execute { bound.value.admitted(id, ticket) }
        }
        switch entry {
        case .runs(let ticket):
            exchange?.pass = ticket
            serve()
        case .waits(let ticket):
            exchange?.pass = ticket
            exchange?.whenAdmitted = serve
            let timeout = TimeAmount(services.configuration.uploadTimeout)
            exchange?.turnTimeout = eventLoop.assumeIsolated().scheduleTask(in: timeout) { [weak self] in
                self?.waitedTooLong(id, ticket)
            }
        case .refused: sendBusy(request, "too many other transfers wait")
        }
    }

    private func length(of request: ContentRequest, size: Int64) -> Int64 {
        guard let range = request.range else { return size }
        return range.resolved(size: size).map { $0.upperBound - $0.lowerBound } ?? 0
    }

    private func admitted(_ id: Exchange.ID, _ ticket: UInt64) {
        guard let exchange, exchange.id == id, exchange.pass == ticket, let serve = exchange.whenAdmitted else {
            return
        }
        exchange.turnTimeout?.cancel()
        self.exchange?.turnTimeout = nil
        self.exchange?.whenAdmitted = nil
        serve()
    }

    private func waitedTooLong(_ id: Exchange.ID, _ ticket: UInt64) {
        guard let exchange, exchange.id == id, exchange.pass == ticket, exchange.whenAdmitted != nil,
            let request = exchange.content
        else { return }
        self.exchange?.turnTimeout = nil
        self.exchange?.whenAdmitted = nil
        self.exchange?.pass = nil
        services.uploads.leave(ticket)
        services.uploads.countRefusal()
        sendBusy(request, "too many other transfers are under way")
    }

    /// Says that the content may be here, or elsewhere, but cannot be sent now.
    func sendBusy(_ request: ContentRequest, _ reason: String) {
        send(HTTPResponseHead.unavailable(reason, key: request.key), outcome: .busy)
    }

    // MARK: The rate

    /// Sends a part of a file to another node as fast as the rate allows, chunk by chunk.
    ///
    /// - Returns: `false`, with nothing sent, where there is no limit for it.
    func sendPaced(_ request: ContentRequest, _ file: ContentFile, _ digest: Digest, _ part: Range<Int64>) -> Bool {
        guard request.isFromPeer, let rate = services.uploadRate, let id = exchange?.id else { return false }
        guard part.upperBound - part.lowerBound > services.configuration.smallBody else {
            // It waits for nobody, but others wait for it.
            _ = rate.grant(Int(part.upperBound - part.lowerBound), now: .now())
            return false
        }
        let end = part.upperBound
        exchange?.file = ServedFile(file: file, digest: digest, end: end, rest: end..<end)
        watchFile()
        sendChunk(of: file, part, rate, id)
        return true
    }

    private func sendChunk(of file: ContentFile, _ part: Range<Int64>, _ rate: RateLimiter, _ id: Exchange.ID) {
        guard exchange?.id == id else { return }
        guard !part.isEmpty else { return finish(.local) }
        let end = min(part.upperBound, part.lowerBound + Int64(rate.chunk))
        whenGranted(Int(end - part.lowerBound), rate, id) {
            self.send(part.lowerBound..<end, of: file) { self.sendChunk(of: file, end..<part.upperBound, rate, id) }
            self.context?.flush()
        }
    }

    /// Sends bytes of a reader; as fast as the rate allows where they are for another node.
    func sendPaced(_ bytes: ByteBuffer, _ id: Exchange.ID) -> EventLoopFuture<Void> {
        let promise = eventLoop.makePromise(of: Void.self)
        guard let request = exchange?.content, request.isFromPeer, let rate = services.uploadRate else {
            send(.byteBuffer(bytes), promise: promise)
            context?.flush()
            return promise.futureResult
        }
        sendChunk(of: bytes, rate, id, whole: promise)
        return promise.futureResult
    }

    private func sendChunk(of bytes: ByteBuffer, _ rate: RateLimiter, _ id: Exchange.ID, whole: EventLoopPromise<Void>)
    {
        var rest = bytes
        guard exchange?.id == id, context != nil else { return whole.fail(CancellationError()) }
        guard let chunk = rest.readSlice(length: min(rate.chunk, rest.readableBytes)), chunk.readableBytes > 0 else {
            return whole.succeed()
        }
        whenGranted(chunk.readableBytes, rate, id, otherwise: { whole.fail(CancellationError()) }) {
            let promise = self.eventLoop.makePromise(of: Void.self)
            promise.futureResult.assumeIsolated().whenComplete { result in
                switch result {
                case .success: self.sendChunk(of: rest, rate, id, whole: whole)
                case .failure(let error): whole.fail(error)
                }
            }
            self.send(.byteBuffer(chunk), promise: promise)
            self.context?.flush()
        }
    }

    /// Does something as soon as the rate allows bytes to go, unless the exchange has ended by then.
    private func whenGranted(
        _ count: Int,
        _ rate: RateLimiter,
        _ id: Exchange.ID,
        otherwise: @escaping () -> Void = {},
        _ go: @escaping () -> Void
    ) {
        let now = NIODeadline.now()
        let moment = rate.grant(count, now: now)
        guard moment > now else { return go() }
        eventLoop.assumeIsolated().scheduleTask(deadline: moment) {
            if self.exchange?.id == id { go() } else { otherwise() }
        }
    }
}
