import Mirroring
import NIOCore
import OCI
import Splicing
import Time

/// The way of the bytes of a body: to the client, into the verification buffer, or through the kernel.
extension MirrorSession {
    /// Sends the head of an answer whose body follows as it comes.
    func begin(_ head: PromisedContent) {
        refuseToShare(nil)
        client?.mirrorSends(head: head, source: source)
    }

    /// Writes a chunk to the client, unless it is held.
    func forward(_ bytes: ByteBuffer, dropFirst: Int) {
        var bytes = bytes
        if dropFirst > 0 { bytes.moveReaderIndex(forwardBy: min(dropFirst, bytes.readableBytes)) }
        report.count(bytes: bytes.readableBytes)
        if !held.isActive, transfer.delivery.isHashed, let algorithm = transfer.request.digest?.algorithm {
            held.holdLastChunk(algorithm)
        }
        guard held.isActive else {
            client?.mirrorSends(body: bytes)
            return
        }
        if let free = held.take(bytes) { client?.mirrorSends(body: free) }
    }

    func flush(_ attempt: AttemptID) {
        client?.mirrorFlushes()
        // To flush may have ended the transfer.
        guard let client else { return }
        input { $0.flushed(attempt, clientIsWritable: client.takesBytes, now: $1) }
    }

    func pace(_ bytes: Int) {
        guard let rate = services.permits.rate else { return granted() }
        let now = NIODeadline.now()
        let moment = rate.grant(bytes, now: now)
        guard moment > now else { return granted() }
        eventLoop.assumeIsolated().scheduleTask(deadline: moment) { [weak self] in self?.granted() }
    }

    private func granted() {
        guard let client else { return }
        input { $0.granted(clientIsWritable: client.takesBytes, now: $1) }
    }

    func move(_ attempt: AttemptID, _ count: Int64) {
        var verification: DigestVerification?
        if transfer.delivery.isHashed, let hasher = held.hasher, let digest = transfer.delivery.content?.digest {
            verification = DigestVerification(hasher: hasher, expected: digest)
        }
        let isMoving =
            if verification != nil || !transfer.delivery.isHashed, let socket = client?.socket,
                let connection = requests.connection(of: attempt)
            {
                connection.splice(
                    count,
                    to: socket,
                    by: services.splicer,
                    verification: verification,
                    onBytes: report.countBytes
                )
            } else {
                false
            }
        input { transfer, _ in
            guard isMoving else { return transfer.moveRefused(attempt) }
            transfer.moveStarted(attempt)
            return []
        }
    }

    func verify(_ attempt: AttemptID, _ content: PromisedContent) {
        guard let digest = content.digest, let matches = held.matches(digest) else {
            return input { $0.failed(attempt, .corrupt, now: $1) }
        }
        if matches, request.content.kind == .manifest, let bytes = held.whole,
            !ManifestTypeCheck.passes(bytes, as: content.mediaType)
        {
            let refusal = PeerRefusal.wrongMediaType(String(content.mediaType.prefix(128)))
            return input { $0.failed(attempt, .refused(refusal), now: $1) }
        }
        input { $0.verified(attempt, matches: matches, now: $1) }
    }

    /// Writes what is held. It takes its part of the budget until it has left, however slow the client is.
    func sendHeld() {
        guard let client, let (bytes, release) = held.takeAll() else { return held.release() }
        client.mirrorSends(body: bytes, whenSent: share(bytes, release: release))
        if request.content.kind == .manifest, let digest = transfer.delivery.content?.digest {
            services.contents.learnSizes(fromManifest: bytes, digest, registry: request.content.registry)
        }
    }
}
