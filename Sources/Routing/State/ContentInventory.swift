import ContentStore
import OCI

/// The content of a store: metadata of each piece, the tags, and the keys to share.
///
/// Built by a walk from the images through indexes and manifests. It includes content without an image, which may
/// belong to an unfinished pull, or to an image that was imported without a name.
struct ContentInventory {
    var contents: [Digest: ContentIndex.Entry] = [:]
    var tags: [String: Descriptor] = [:]
    /// Content that is not shared.
    var withheld: Set<Digest> = []
    /// The names of the shared images that are references.
    var images: Set<String> = []
    /// The number of shared pieces of content by registry; `nil` for an unknown registry.
    var contentsByRegistry: [RegistryName?: Int] = [:]
    /// The number of images without any of their layers.
    var imagesWithoutLayers = 0

    /// The keys to advertise: tag names and digests.
    var keys: Set<String> {
        var keys = Set(tags.keys)
        keys.reserveCapacity(tags.count + contents.count)
        for digest in contents.keys where !withheld.contains(digest) { keys.insert(digest.text) }
        return keys
    }

    /// The registries of the shared content.
    var registries: Set<String> {
        Set(images.map { String($0.prefix { $0 != "/" }) }).union(contentsByRegistry.keys.compactMap { $0?.text })
    }

    /// Reads a store in full.
    ///
    /// - Parameter report: called for each unreadable document; the walk continues without it.
    static func read(
        _ store: any ContentStore,
        filter: ContentFilter,
        limits: ContentGraph.Limits,
        report: (Digest, any Error) -> Void
    ) async throws -> ContentInventory {
        async let listedContents = store.contents()
        async let listedImages = store.images()
        let (held, images) = try await (listedContents, listedImages)
        var inventory = ContentInventory()
        inventory.contents.reserveCapacity(held.count)
        for content in held {
            inventory.contents[content.digest] = ContentIndex.Entry(size: content.size, mediaType: nil)
        }
        let contents = inventory.contents
        let graph = try await ContentGraph.read(
            store,
            roots: images.map(\.target),
            limits: limits,
            held: { digest in contents.index(forKey: digest).map { contents[$0].key } },
            report: report
        )
        let named = inventory.add(images, graph: graph, filter: filter)
        inventory.share(held, named: named, filter: filter)
        return inventory
    }

    /// Adds the images and the types of their content. Returns the referenced content by its verdict.
    private mutating func add(
        _ images: [StoredImage],
        graph: ContentGraph,
        filter: ContentFilter
    ) -> [ContentFilter.Verdict: Set<Digest>] {
        var named: [ContentFilter.Verdict: Set<Digest>] = [:]
        var lacking: Set<Digest> = []
        for image in images where contents[image.target.digest] != nil {
            let verdict = filter.verdict(ofImage: image.name)
            let registry = verdict == .shared ? (try? Reference(image.name))?.registry : nil
            graph.walk(from: image.target, visited: &named[verdict, default: []]) { digest, mediaType in
                contents[digest]?.mediaType = mediaType
                if let registry { contentsByRegistry[registry, default: 0] += 1 }
            }
            if registry != nil { self.images.insert(image.name) }
            if let name = filter.tagName(ofImage: image.name), !graph.unservable.contains(image.target.digest) {
                tags[name] = image.target
            }
            if graph.lacksAllLayers(below: image.target.digest) { lacking.insert(image.target.digest) }
        }
        imagesWithoutLayers = lacking.count
        return named
    }

    /// Decides for each piece of content whether to share it.
    private mutating func share(
        _ held: [StoredContent],
        named: [ContentFilter.Verdict: Set<Digest>],
        filter: ContentFilter
    ) {
        let shared = named[.shared] ?? []
        let excluded = named[.withheld] ?? []
        let unsaid = named[.unsaid] ?? []
        for content in held where !shared.contains(content.digest) {
            let source = content.sources.first(where: filter.allows)
            let isShared =
                if filter.sharesAllContent {
                    true
                } else if excluded.contains(content.digest) {
                    false
                } else if !content.sources.isEmpty {
                    source != nil
                } else {
                    // The origin is unknown. Content without an image may belong to any pull.
                    unsaid.contains(content.digest)
                }
            if isShared {
                contentsByRegistry[source?.registry, default: 0] += 1
            } else {
                withheld.insert(content.digest)
            }
        }
    }
}
