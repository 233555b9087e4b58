import Membership
import Mirroring
import NIOCore
import NIOHTTP1
import OCI
import Routing

/// What all answers with content work with.
struct AnswerContext {
    let exchange: Exchange
    let request: ContentRequest
    let services: RegistryServices
    let loop: RegistryLoop

    var eventLoop: any EventLoop { loop.eventLoop }

    /// Answers 304: the client already has the content, which this node holds.
    func sendNotModified(_ digest: Digest) {
        exchange.origin = .store
        exchange.send(.notModified(digest: digest))
        exchange.finish(.local)
    }

    func sendNotFound() {
        exchange.send(.error(request.content.notFound), .notFound)
    }

    /// Says that the content may be here, or elsewhere, but cannot be sent now.
    func sendBusy(_ reason: String) {
        exchange.send(.unavailable(reason, key: request.key), .busy)
    }

    func sendRangeNotSatisfiable(size: Int64) {
        exchange.send(.rangeNotSatisfiable(size: size, key: request.key), .rejected)
    }

    /// Makes the head of an answer with content of this node.
    ///
    /// - Parameter isChecked: whether the content was checked because the peer asked for that.
    /// - Returns: the head, and the part of the content that follows; `nil` when the answer was 416.
    func makeHead(
        size: Int64,
        _ digest: Digest,
        _ mediaType: MediaType,
        isChecked: Bool
    ) -> (head: HTTPResponseHead, part: Range<Int64>)? {
        var part = 0..<max(0, size)
        if let range = request.range {
            guard let resolved = range.resolved(size: size) else {
                sendRangeNotSatisfiable(size: size)
                return nil
            }
            part = resolved
        }
        exchange.bodySize = part.upperBound - part.lowerBound
        var head = HTTPResponseHead.content(
            size: size,
            range: part,
            isPartial: request.range != nil,
            mediaType: mediaType.text,
            digest: digest,
            of: request.content
        )
        if request.isFromPeer, let zone = services.configuration.zone {
            head.headers.add(name: HeaderName.zone, value: zone.text)
        }
        if let proven = exchange.proof, case .tag = request.content.target {
            let answer = ProvenAnswer(
                status: Int(head.status.code),
                digest: digest.text,
                mediaType: mediaType.text,
                length: part.upperBound - part.lowerBound
            )
            let value = AnswerProof.headerValue(of: answer, to: proven.proof, with: proven.key)
            head.headers.add(name: HeaderName.proof, value: value)
        }
        if isChecked { head.headers.add(name: HeaderName.checked, value: "true") }
        return (head, part)
    }

    // MARK: Content of other nodes

    /// Sends the head of an answer whose content comes from a peer.
    ///
    /// - Parameter source: the registry of the peer.
    func sendRelayed(head content: PromisedContent, source: PeerAddress?) {
        if let digest = content.digest, request.hasAlready(digest) {
            return exchange.send(.notModified(digest: digest))
        }
        exchange.bodySize = content.range.upperBound - content.range.lowerBound
        var head = HTTPResponseHead.content(
            size: content.size,
            range: content.range,
            isPartial: content.isPartial,
            mediaType: content.mediaType,
            digest: content.digest,
            of: request.content
        )
        // For people and tools that want to see where content comes from; containerd passes over it.
        if let source { head.headers.add(name: HeaderName.source, value: source.text) }
        exchange.send(head)
    }

    /// Whether the client has the content already, so that what comes of the body is dropped.
    var isNotModified: Bool { exchange.status == HTTPResponseStatus.notModified.code }

    /// Sends bytes of a peer.
    ///
    /// - Parameter whenSent: called once, when the bytes have left or cannot leave any more.
    func sendRelayed(body: ByteBuffer, whenSent: @escaping @Sendable () -> Void) {
        guard !isNotModified else { return whenSent() }
        let promise = eventLoop.makePromise(of: Void.self)
        promise.futureResult.whenComplete { _ in whenSent() }
        exchange.send(.byteBuffer(body), promise: promise)
    }

    /// Ends the answer to a request that peers have answered, or could not.
    func finishRelayed(_ ending: TransferEnding) {
        switch ending {
        case .complete: exchange.finish(.mirrored)
        case .cutShort: exchange.cutShort()
        case .notFound: sendNotFound()
        case .unavailable: sendBusy("all nodes that may have the content are busy")
        case .overloaded: sendBusy("this node is looking for as much content as it can at a time")
        case .rangeNotSatisfiable(let size): sendRangeNotSatisfiable(size: size)
        case .clientGone: break
        }
    }
}
