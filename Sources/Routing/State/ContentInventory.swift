import ContentStore
import OCI

/// What a store holds, put in order: each piece of content with what is known of it, the tags, and the keys to share.
///
/// Built by walking from the images down through indexes and manifests. Content that no image names is part of it
/// too: it may belong to a pull that is not finished, or to an image that was imported without a name.
struct ContentInventory {
    var contents: [Digest: ContentIndex.Entry] = [:]
    var tags: [String: Descriptor] = [:]
    /// Content that only images outside of the filter name.
    private var withheld: Set<Digest> = []

    /// The keys to advertise: tag names and digests.
    var keys: Set<String> {
        var keys = Set(tags.keys)
        keys.reserveCapacity(tags.count + contents.count)
        for digest in contents.keys where !withheld.contains(digest) { keys.insert(digest.text) }
        return keys
    }

    /// Reads a store in full.
    ///
    /// - Parameter report: told of each document that could not be read; the walk goes on without it.
    static func read(
        _ store: any ContentStore,
        filter: ContentFilter,
        report: @escaping (Digest, any Error) -> Void
    ) async throws -> ContentInventory {
        var contents: [Digest: ContentIndex.Entry] = [:]
        let held = try await store.contents()
        contents.reserveCapacity(held.count)
        for content in held {
            contents[content.digest] = ContentIndex.Entry(size: content.size, mediaType: nil)
        }

        var tags: [String: Descriptor] = [:]
        // What images within the filter name, and what those outside of it do.
        var visited: [Bool: Set<Digest>] = [:]
        let walker = ContentWalker(store: store, report: report)
        for image in try await store.images() {
            try Task.checkCancellation()
            let isShared = filter.allowsContent(ofImage: image.name)
            try await walker.walk(from: image.target, visited: &visited[isShared, default: []]) { digest in
                contents[digest]?.size
            } visit: { digest, size, mediaType in
                contents[digest] = ContentIndex.Entry(size: size, mediaType: mediaType)
            }
            if let name = filter.tagName(ofImage: image.name), contents[image.target.digest] != nil {
                tags[name] = image.target
            }
        }
        return ContentInventory(
            contents: contents,
            tags: tags,
            withheld: (visited[false] ?? []).subtracting(visited[true] ?? [])
        )
    }
}

/// Walks from an image down to its layers, through what is held of it.
struct ContentWalker {
    let store: any ContentStore
    /// Told of each document that could not be read.
    let report: (Digest, any Error) -> Void

    /// Visits each piece of content below `root`, itself included, once in the life of `visited`.
    ///
    /// - Parameters:
    ///   - size: the size in bytes of held content, `nil` for what is not held.
    ///   - visit: told of what is held: digest, size, media type.
    func walk(
        from root: Descriptor,
        visited: inout Set<Digest>,
        size: (Digest) async throws -> Int64?,
        visit: (Digest, Int64, MediaType) -> Void
    ) async throws {
        // The children of an index are manifests whatever their media types say.
        var pending = [(descriptor: root, isDocument: true)]
        while let (descriptor, isDocument) = pending.popLast() {
            let digest = descriptor.digest
            guard !visited.contains(digest), let heldSize = try await size(digest) else { continue }
            visited.insert(digest)
            guard isDocument || descriptor.mediaType.isServedAsManifest else {
                visit(digest, heldSize, descriptor.mediaType)
                continue
            }
            do {
                guard let bytes = try await store.readDocument(digest) else { continue }
                let manifest = try Manifest(json: bytes)
                let isTyped = descriptor.mediaType != .octetStream
                visit(digest, heldSize, isTyped ? descriptor.mediaType : manifest.mediaType)
                pending += manifest.children.map { ($0, manifest.isIndex) }
            } catch {
                visit(digest, heldSize, descriptor.mediaType)
                report(digest, error)
            }
        }
    }
}
