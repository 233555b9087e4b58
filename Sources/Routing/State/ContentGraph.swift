import ContentStore
import OCI
import Synchronization

/// The references between content in a store: from indexes to manifests, from manifests to configurations and layers.
struct ContentGraph {
    /// The limits for reading documents. A document that hangs affects only the content that it references.
    struct Limits: Sendable {
        /// The deadline of one document.
        var document: Duration = .seconds(5)
        /// The deadline of all documents. The rest is left for the next time.
        var all: Duration = .seconds(60)
        /// The number of concurrent reads.
        var width = 8
        /// The maximum number of documents to read that are not accessible as files. The gRPC library closes a
        /// connection on which 200 calls are reset within some seconds, which servers in Go do after a quick response.
        /// Each document takes two calls.
        var streamed = 100
    }

    /// A manifest or an index.
    struct Document {
        var mediaType: MediaType
        /// The held content that it references.
        var children: [Child]
        /// The number of image layers that it references, and the number of held ones among them.
        var layers = 0
        var heldLayers = 0
    }

    /// A piece of content that a document references.
    struct Child: Hashable, Sendable {
        var digest: Digest
        var mediaType: MediaType
        /// Whether it is a manifest or an index: by its type, or because an index references it.
        var isDocument: Bool
    }

    private(set) var documents: [Digest: Document] = [:]
    /// Roots that are no manifests and do not claim to be, such as those of Docker's schema 1. A node cannot serve them
    /// under a tag.
    private(set) var unservable: Set<Digest> = []
    /// The distinct media types. A few are shared by thousands of pieces of content.
    private var mediaTypes: Set<MediaType> = []

    /// The number of documents that may still be read without a file.
    private final class Allowance: Sendable {
        private let left: Atomic<Int>

        init(_ count: Int) {
            left = Atomic(count)
        }

        func take() -> Bool {
            left.subtract(1, ordering: .relaxed).newValue >= 0
        }
    }

    /// A document that is left for later. Its type is then determined at the first request.
    private struct TooManyDocuments: Error, CustomStringConvertible {
        var description: String { "too many documents to read through the store" }
    }

    private struct Reading: Sendable {
        var child: Child
        var outcome: Outcome<Manifest>
    }

    /// Reads all documents below the roots.
    ///
    /// - Parameters:
    ///   - held: returns the stored digest of held content, and `nil` for missing content.
    ///   - report: called for each unreadable document; the walk continues without it.
    static func read(
        _ store: any ContentStore,
        roots: [Descriptor],
        limits: Limits,
        held: (Digest) -> Digest?,
        report: (Digest, any Error) -> Void
    ) async throws -> ContentGraph {
        var graph = ContentGraph()
        var seen: Set<Digest> = []
        let clock = ContinuousClock()
        let end = clock.now + limits.all
        let allowance = Allowance(limits.streamed)
        var level = roots.compactMap { root in
            held(root.digest).map { Child(digest: $0, mediaType: graph.kept(root.mediaType), isDocument: true) }
        }
        // By level: an index, its manifests, and any odd nesting.
        while true {
            try Task.checkCancellation()
            level = level.filter { $0.isDocument && seen.insert($0.digest).inserted }
            guard !level.isEmpty else { return graph }
            let readings = await concurrently(level, width: limits.width) { child in
                guard clock.now < end else {
                    return Reading(child: child, outcome: .failed(TookTooLong(limit: limits.all)))
                }
                let outcome = await document(child.digest, of: store, within: limits.document, allowance: allowance)
                return Reading(child: child, outcome: outcome)
            }
            level = []
            for reading in readings {
                switch reading.outcome {
                case .absent: continue
                case .failed(let error):
                    report(reading.child.digest, error)
                    let isNoManifest = error is Manifest.ParseError && !reading.child.mediaType.isServedAsManifest
                    if isNoManifest { graph.unservable.insert(reading.child.digest) }
                case .found(let manifest):
                    let document = graph.document(manifest, declared: reading.child.mediaType, held: held)
                    graph.documents[reading.child.digest] = document
                    level += document.children
                }
            }
        }
    }

    private static func document(
        _ digest: Digest,
        of store: any ContentStore,
        within limit: Duration,
        allowance: Allowance
    ) async -> Outcome<Manifest> {
        do {
            // A file is read at once: there is no call to wait for.
            if let file = try store.openFile(digest) {
                return .found(try Manifest(json: file.readAll(limit: Manifest.maximumSize)))
            }
        } catch {
            return .failed(error)
        }
        guard allowance.take() else { return .failed(TooManyDocuments()) }
        return await .of(within: limit) {
            try await store.readDocument(digest).map { bytes in try Manifest(json: bytes) }
        }
    }

    private mutating func document(
        _ manifest: Manifest,
        declared: MediaType,
        held: (Digest) -> Digest?
    ) -> Document {
        var document = Document(mediaType: declared == .octetStream ? kept(manifest.mediaType) : declared, children: [])
        for child in manifest.children {
            let digest = held(child.digest)
            if child.mediaType.isImageLayer {
                document.layers += 1
                if digest != nil { document.heldLayers += 1 }
            }
            guard let digest else { continue }
            let isDocument = manifest.isIndex || child.mediaType.isServedAsManifest
            document.children.append(Child(digest: digest, mediaType: kept(child.mediaType), isDocument: isDocument))
        }
        return document
    }

    private mutating func kept(_ mediaType: MediaType) -> MediaType {
        mediaTypes.insert(mediaType).memberAfterInsert
    }

    /// Visits all held content from a root on, including the root, each piece once per `visited`.
    func walk(from root: Descriptor, visited: inout Set<Digest>, visit: (Digest, MediaType) -> Void) {
        var pending = [Child(digest: root.digest, mediaType: root.mediaType, isDocument: true)]
        while let child = pending.popLast() {
            guard visited.insert(child.digest).inserted else { continue }
            let document = documents[child.digest]
            visit(child.digest, document?.mediaType ?? child.mediaType)
            pending += document?.children ?? []
        }
    }

    /// Whether an image has none of the layers that its manifests reference, but other content.
    func lacksAllLayers(below root: Digest) -> Bool {
        var layers = 0
        var pending = [root]
        var visited: Set<Digest> = []
        while let digest = pending.popLast() {
            guard let document = documents[digest], visited.insert(digest).inserted else { continue }
            guard document.heldLayers == 0 else { return false }
            // The configuration of a platform that was not pulled may be missing as well.
            if !document.children.isEmpty { layers += document.layers }
            pending += document.children.filter(\.isDocument).map(\.digest)
        }
        return layers > 0
    }
}
