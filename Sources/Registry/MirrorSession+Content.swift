import Logging
import NIOCore
import OCI
import Routing

/// What happens to the bytes of a body on their way, and to the peers that have sent wrong ones.
extension MirrorSession {
    /// Passes bytes on to the client, by way of what is held back if something is.
    func forward(_ bytes: ByteBuffer, dropFirst: Int) {
        var bytes = bytes
        if dropFirst > 0 { bytes.moveReaderIndex(forwardBy: min(dropFirst, bytes.readableBytes)) }
        report.count(bytes: bytes.readableBytes)
        flow.unpacedBytes += bytes.readableBytes
        if !held.isActive, transfer.isHashed, let algorithm = transfer.request.digest?.algorithm {
            held.holdLastChunk(algorithm)
        }
        guard held.isActive else {
            client?.mirrorSends(body: bytes)
            return
        }
        if let free = held.take(bytes) { client?.mirrorSends(body: free) }
    }

    func check(_ attempt: MirrorTransfer.AttemptID, _ content: MirroredContent) {
        guard let digest = content.digest, let matches = held.matches(digest) else {
            return perform(transfer.failed(attempt, .corrupt, now: .now()))
        }
        if matches, request.content.kind == .manifest, let bytes = held.whole,
            !ManifestTypeCheck.passes(bytes, as: content.mediaType)
        {
            let refusal = PeerRefusal.wrongMediaType(String(content.mediaType.prefix(128)))
            return perform(transfer.failed(attempt, .refused(refusal), now: .now()))
        }
        perform(transfer.checked(attempt, matches: matches, now: .now()))
    }

    /// Sends what was held back. It takes its part of the budget until it has left, however slow the client is.
    func sendHeld() {
        guard let client, let (bytes, release) = held.takeAll() else { return held.release() }
        client.mirrorSends(body: bytes, whenSent: share(bytes, release: release))
        if request.content.kind == .manifest, let digest = transfer.content?.digest {
            services.learnSizes(fromManifest: bytes, digest)
        }
    }

    func suspect(_ peerID: String, _ digest: Digest) {
        services.suspect(peerID, digest)
        services.metrics.addCorruptAnswer()
        services.logger.warning(
            "a peer may have sent content that is not what its digest says; it has to check it before it is asked again",
            metadata: ["peer": "\(peerID)", "digest": "\(digest)", "key": "\(request.key)"]
        )
    }

    func bar(_ peerID: String, _ digest: Digest) {
        services.bar(peerID, digest)
        services.metrics.addCorruptAnswer()
        let addresses = transfer.lastPeerID == peerID ? transfer.lastAddress.map { [$0] } : nil
        services.router.reportCorrupt(Provider(peerID: peerID, addresses: addresses ?? []), of: request.key)
        services.logger.warning(
            "a peer sent content that is not what its digest says; it is not asked for it again for a while",
            metadata: ["peer": "\(peerID)", "digest": "\(digest)", "key": "\(request.key)"]
        )
    }
}
