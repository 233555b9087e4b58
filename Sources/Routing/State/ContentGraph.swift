import ContentStore
import OCI
import Synchronization

/// What names what in a store: indexes their manifests, manifests their configuration and layers.
struct ContentGraph {
    /// How patiently documents are read, so that one that hangs holds up nothing but what it names.
    struct Limits: Sendable {
        /// How long one document may take.
        var document: Duration = .seconds(5)
        /// How long all may take; what has not been read then is left for the next time.
        var all: Duration = .seconds(60)
        /// How many are read at a time.
        var width = 8
        /// How many may be read that are not within reach as files. The gRPC library gives a connection up on which
        /// 200 calls are reset within some seconds, as servers in Go do with calls that they answer quickly; each
        /// document takes two calls.
        var streamed = 100
    }

    /// A manifest or an index that was read.
    struct Document {
        var mediaType: MediaType
        /// What it names of all that is held.
        var children: [Child]
        /// How many layers of images it names, and how many of these are held.
        var layers = 0
        var heldLayers = 0
    }

    /// A piece of content that a document names.
    struct Child: Hashable, Sendable {
        var digest: Digest
        var mediaType: MediaType
        /// Whether it is a manifest or an index: by its type, or because an index names it, whatever its type says.
        var isDocument: Bool
    }

    private(set) var documents: [Digest: Document] = [:]
    /// Few types stand for thousands of pieces of content; each is kept once.
    private var mediaTypes: Set<MediaType> = []

    /// How many documents may still be read that are no files.
    private final class Allowance: Sendable {
        private let left: Atomic<Int>

        init(_ count: Int) {
            left = Atomic(count)
        }

        func take() -> Bool {
            left.subtract(1, ordering: .relaxed).newValue >= 0
        }
    }

    /// A document is left for another time: its type is found out when it is asked for.
    private struct TooManyDocuments: Error, CustomStringConvertible {
        var description: String { "there are too many documents to read through the store" }
    }

    private struct Reading: Sendable {
        var child: Child
        var outcome: Outcome<Manifest>
    }

    /// Reads all documents below the roots.
    ///
    /// - Parameters:
    ///   - held: the digest as it is kept for held content, `nil` for what is not held.
    ///   - report: told of each document that could not be read; the walk goes on without it.
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
        // Level by level: an index, its manifests, and what odd nesting there is.
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
                case .failed(let error): report(reading.child.digest, error)
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
            // A file is read at once: no call, nothing to wait for.
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

    /// Visits all that is held from a root on, itself included, each piece once in the life of `visited`.
    func walk(from root: Descriptor, visited: inout Set<Digest>, visit: (Digest, MediaType) -> Void) {
        var pending = [Child(digest: root.digest, mediaType: root.mediaType, isDocument: true)]
        while let child = pending.popLast() {
            guard visited.insert(child.digest).inserted else { continue }
            let document = documents[child.digest]
            visit(child.digest, document?.mediaType ?? child.mediaType)
            pending += document?.children ?? []
        }
    }

    /// Whether an image is held without any of the layers that its manifests name, though not without all else.
    func lacksAllLayers(below root: Digest) -> Bool {
        var layers = 0
        var pending = [root]
        var visited: Set<Digest> = []
        while let digest = pending.popLast() {
            guard let document = documents[digest], visited.insert(digest).inserted else { continue }
            guard document.heldLayers == 0 else { return false }
            // Of a platform that was not pulled, the configuration may be missing as well.
            if !document.children.isEmpty { layers += document.layers }
            pending += document.children.filter(\.isDocument).map(\.digest)
        }
        return layers > 0
    }
}
