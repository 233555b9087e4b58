import ContentStore
import NIOCore
import NIOHTTP1
import OCI
import Routing
import Splicing
import Synchronization

extension RegistryConnection {
    /// Does what a request asks for.
    func answer(_ plan: RequestPlan) {
        switch plan {
        case .base: send(HTTPResponseHead.base)
        case .live: answerLiveness()
        case .ready: answerReadiness()
        case .refuse(let error):
            if plan.isRefusal { services.noteRefusal(error.code, of: context?.remoteAddress) }
            send(HTTPResponseHead.error(error), outcome: error.status == 404 ? .notFound : .rejected)
        case .reject(let status, let text): send(HTTPResponseHead.text(status, text), outcome: .rejected)
        case .content(let request):
            exchange?.content = request
            if request.isFromPeer { notePeer() }
            switch services.find(request) {
            case .file(_, let digest, _) where request.noneMatch?.matches(digest) == true: sendNotModified(digest)
            case .unopened(let digest, _) where request.noneMatch?.matches(digest) == true: sendNotModified(digest)
            case .file(let file, let digest, let mediaType):
                whenAdmitted(request, size: file.size) { self.serve(request, file, digest, mediaType) }
            case .unopened(let digest, let mediaType):
                let size = services.index.entry(digest)?.size ?? 0
                whenAdmitted(request, size: size) { self.read(request, digest, mediaType) }
            case .unavailable(let reason): serveNot(request, reason)
            case .absent: mirror(request)
            }
        }
    }

    private func answerLiveness() {
        let stalls = services.stalls()
        guard stalls.isEmpty else {
            return send(HTTPResponseHead.text(.serviceUnavailable, stalls.joined(separator: ", ")))
        }
        send(HTTPResponseHead.text(.ok, "alive"))
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

    /// The content may be here, but cannot be opened now. A peer is told so; a client gets it from another node.
    private func serveNot(_ request: ContentRequest, _ reason: String) {
        guard request.isFromPeer else { return mirror(request) }
        sendBusy(request, reason)
    }

    /// Answers a client of this node's content that has it already.
    func sendNotModified(_ digest: Digest) {
        exchange?.isLocal = true
        send(HTTPResponseHead.notModified(digest: digest))
        finish(.local)
    }

    private func sendNotFound(_ request: ContentRequest) {
        send(HTTPResponseHead.error(request.content.notFound), outcome: .notFound)
    }

    /// The head of an answer with content, and which part of it has to follow; `nil` when the answer was 416.
    func makeHead(
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
        exchange?.bodySize = part.upperBound - part.lowerBound
        var head = HTTPResponseHead.content(
            size: size,
            range: part,
            isPartial: request.range != nil,
            mediaType: mediaType.text,
            digest: digest,
            kind: request.content.kind
        )
        if request.isFromPeer, let zone = services.configuration.zone {
            head.headers.add(name: zoneHeaderName, value: zone.text)
        }
        return (head, part)
    }

    /// Ends an answer before its time, with a clean close: the client asks for the rest with a range.
    func cutShort() {
        exchange?.keepsAlive = false
        finish(.cutShort)
    }
}

// MARK: - From a peer

extension RegistryConnection: MirrorClient {
    /// Looks for the content at other nodes, unless another node asks.
    func mirror(_ request: ContentRequest, turn: SharedMirror.Turn = .first) {
        guard !request.isFromPeer else { return sendNotFound(request) }
        var request = request
        // What a client has already need not come from the peer, only the word that it is there.
        if case .digest(let digest) = request.content.target, request.noneMatch?.matches(digest) == true {
            request.isHead = true
            request.range = nil
        }
        share(request, turn: turn) { shared in
            let session = MirrorSession(
                request,
                client: self,
                services: services,
                loop: loop,
                eventLoop: eventLoop,
                shared: shared
            )
            exchange?.mirror = session
            session.start()
        }
    }

    var takesBytes: Bool {
        context?.channel.isWritable ?? false
    }

    var address: String? {
        context?.channel.remoteAddress?.ipAddress
    }

    func mirrorSends(head content: MirroredContent, source: SocketAddress?) {
        guard let request = exchange?.content else { return }
        let kind = request.content.kind
        if let digest = content.digest, request.noneMatch?.matches(digest) == true {
            return send(HTTPResponseHead.notModified(digest: digest))
        }
        var head = HTTPResponseHead.content(
            size: content.size,
            range: content.range,
            isPartial: content.isPartial,
            mediaType: content.mediaType,
            digest: content.digest,
            kind: kind
        )
        exchange?.bodySize = content.range.upperBound - content.range.lowerBound
        exchange?.source = source
        // For people and tools that want to see where content comes from; containerd passes over it.
        if let source { head.headers.add(name: sourceHeaderName, value: source.hostHeader) }
        send(head)
    }

    func mirrorSends(body: ByteBuffer) {
        guard exchange?.status != 304 else { return }
        send(.byteBuffer(body))
    }

    func mirrorSends(body: ByteBuffer, whenSent: @escaping @Sendable () -> Void) {
        guard exchange?.status != 304 else { return whenSent() }
        let promise = eventLoop.makePromise(of: Void.self)
        promise.futureResult.whenComplete { _ in whenSent() }
        send(.byteBuffer(body), promise: promise)
    }

    func mirrorFlushes() {
        context?.flush()
    }

    func mirrorFlushes(whenDone: @escaping () -> Void) {
        guard let context else { return }
        let promise = eventLoop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenSuccess(whenDone)
        send(.byteBuffer(context.channel.allocator.buffer(capacity: 0)), promise: promise)
        context.flush()
    }

    var socket: SocketDescriptor? {
        // Of a client that has the content already the bytes are dropped here.
        guard let channel = context?.channel, exchange?.status != 304 else { return nil }
        return SocketDescriptor(of: channel)
    }

    func mirrorSent(bytes: Int64) {
        guard var exchange else { return }
        exchange.enqueuedBytes += bytes
        // All that was written before had left by then.
        exchange.lastProgress = exchange.enqueuedBytes
        self.exchange = exchange
    }

    func mirrorLostClient() {
        context?.close(promise: nil)
    }

    func mirrorEnds(_ ending: MirrorEnding) {
        exchange?.mirror = nil
        guard !settleIfClosed(isComplete: ending == .complete) else { return }
        guard let request = exchange?.content else { return }
        switch ending {
        case .complete: finish(.mirrored)
        case .cutShort: cutShort()
        case .notFound: sendNotFound(request)
        case .unavailable: sendBusy(request, "all nodes that may have the content are busy")
        case .overloaded: sendBusy(request, "this node is looking for as much content as it can at a time")
        case .rangeNotSatisfiable(let size):
            send(HTTPResponseHead.rangeNotSatisfiable(size: size, key: request.key), outcome: .rejected)
        case .clientGone: break
        }
    }
}
