import ContentStore
import FoundationEssentials
import OCI
import StructuredText

/// The manifest of an image for a platform.
extension ImagePull {
    /// The most documents of an image to read: indexes may refer to indexes.
    private static let maximumDocuments = 16
    /// The most bytes of a configuration.
    private static let maximumConfiguration = 8 << 20

    /// A manifest, and whether its index says that it is for the platform.
    struct Choice {
        var document: PulledDocument
        var isOfPlatform: Bool
    }

    /// Finds the manifest for the platform in a document and the indexes below it, the likeliest first.
    func manifest(of top: PulledDocument, pieces: inout [Piece]) async throws -> Choice {
        guard top.manifest.isIndex else { return Choice(document: top, isOfPlatform: false) }
        var pending = Array(top.candidates(for: platform).reversed())
        var found = top.platforms
        var seen: Set<Digest> = []
        while let candidate = pending.popLast() {
            guard seen.insert(candidate.descriptor.digest).inserted else { continue }
            guard seen.count <= Self.maximumDocuments else {
                throw Failure(what: "\(reference)", reason: TooManyDocuments(limit: Self.maximumDocuments))
            }
            let descriptor = candidate.descriptor
            let (digest, json) = try await document(.digest(descriptor.digest), size: descriptor.size, pieces: &pieces)
            let document = try read(json, digest)
            guard document.manifest.isIndex else {
                return Choice(document: document, isOfPlatform: candidate.platform != nil)
            }
            found += document.platforms
            pending += document.candidates(for: platform).reversed()
        }
        throw Failure(what: "\(reference)", reason: PulledDocument.NoSuchPlatform(expected: platform, found: found))
    }

    /// Pulls the configuration of a manifest, and checks its platform.
    ///
    /// - Returns: the configuration, unless the manifest has none of an image.
    func configuration(of document: PulledDocument) async throws -> [Piece] {
        guard let config = document.manifest.children.first, config.mediaType.isImageConfig,
            config.size <= Self.maximumConfiguration
        else { return [] }
        display.announce(config.size)
        var bytes: [UInt8] = []
        let piece = try await blob(config, kind: "config") { bytes += Array($0) }
        if bytes.isEmpty, let writer { bytes = try writer.content(of: config) ?? [] }
        let object = try? JSONDecoder().decode(JSONValue.self, from: Data(bytes))
        if let found = Platform(json: object), !platform.accepts(found) {
            display.finish()
            throw Failure(
                what: "\(reference)",
                reason: PulledDocument.NoSuchPlatform(expected: platform, found: [found.description])
            )
        }
        return [piece]
    }

    private struct TooManyDocuments: Error, CustomStringConvertible {
        let limit: Int

        var description: String { "expected at most \(limit) manifests and indexes on the way, found more" }
    }
}
