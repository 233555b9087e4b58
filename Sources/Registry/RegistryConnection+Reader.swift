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
        return sendPaced(bytes, id)
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
}
