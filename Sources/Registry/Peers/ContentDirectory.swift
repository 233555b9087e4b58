import ContentStore
import Mirroring
import NIOCore
import OCI
import Synchronization
import Time

/// The ``ContentBook`` of this node, shared by its event loops.
final class ContentDirectory: Sendable {
    private let book = Mutex(ContentBook())

    /// The size of a blob in bytes, if a manifest that passed by named it.
    func size(of digest: Digest) -> Int64? {
        book.withLock { $0.size(of: digest, now: .now) }
    }

    /// Learns the sizes of the blobs that a manifest names, whose digest was verified. Parsing takes its time, so that is
    /// done off the event loop, and once for each manifest.
    func learnSizes(fromManifest bytes: ByteBuffer, _ digest: Digest, registry: RegistryName?) {
        let size = bytes.readableBytes
        guard size <= ContentBook.maximumManifestSize else { return }
        guard self.size(of: digest) == nil || (registry != nil && self.registry(of: digest) == nil) else { return }
        record(.named([Descriptor(mediaType: .ociManifest, digest: digest, size: Int64(size))], registry: registry))
        Task(priority: .utility) {
            guard let manifest = try? Manifest(json: bytes.readableBytesView), !manifest.isIndex else { return }
            record(.named(manifest.children, registry: registry))
        }
    }

    /// The registry of a manifest that passed by and named some content.
    func registry(of digest: Digest) -> RegistryName? {
        book.withLock { $0.registry(of: digest, now: .now) }
    }

    func record(_ event: ContentEvent) {
        book.withLock { $0.record(event, now: .now) }
    }

    /// The peers from which a client got all of some content before.
    func suspects(of delivery: DeliveryKey) -> [String] {
        book.withLock { $0.suspects(of: delivery, now: .now) }
    }

    /// Notes how a delivery of large content ended.
    ///
    /// - Returns: the peers that are doubted from now on.
    func record(_ outcome: DeliveryOutcome, of delivery: DeliveryKey, suspects: [String]) -> [String] {
        book.withLock { $0.record(outcome, of: delivery, suspects: suspects, now: .now) }
    }

    /// Notes content that this node holds from now on.
    ///
    /// - Returns: what of it came from source registries.
    func arrived(_ arrival: ContentIndex.Arrival) -> [SourceArrival] {
        let contents: [Digest: ContentIndex.Entry]
        let isFirst: Bool
        switch arrival {
        // It was here before the client asked, and only not known yet.
        case .first(let all): (contents, isFirst) = (all, true)
        case .later(let new): (contents, isFirst) = (new, false)
        }
        let arrivals = book.withLock { $0.arrived(contents, size: { $0.size }, now: .now) }
        return isFirst ? [] : arrivals
    }
}
