import Files
import FoundationEssentials
import OCI
import StructuredText

/// Creates an OCI image layout and adds images to it. A reader sees a blob or an index either whole or not at all.
public struct ImageLayoutWriter: Sendable {
    /// The folder.
    public let layout: ImageLayout

    /// Opens a layout, or creates it.
    ///
    /// - Throws: ``ImageLayoutError`` when the folder is a layout of another version, `FileError` when it is not
    ///   writable.
    public init(path: String) throws {
        layout = ImageLayout(path: path)
        try Files.makeFolder(layout.path)
        if try Files.status(layout.layoutFile) == nil {
            let marker = ImageLayout.Marker(imageLayoutVersion: ImageLayout.version)
            try Files.replace(layout.layoutFile, with: Array(try JSONEncoder().encode(marker)))
        }
        try layout.validate()
        try Files.makeFolder(layout.blobsFolder(.sha256))
        if try Files.status(layout.indexFile) == nil { try write(Self.emptyIndex) }
    }

    /// Begins to add content in pieces.
    ///
    /// - Parameter algorithm: the algorithm of the digest.
    public func makeBlob(_ algorithm: Digest.Algorithm = .sha256) throws -> BlobSink {
        try BlobSink(layout: layout, algorithm: algorithm)
    }

    /// Adds content from memory.
    @discardableResult
    public func addBlob(_ bytes: [UInt8], expected: Digest? = nil) throws -> StoredContent {
        let sink = try makeBlob(expected?.algorithm ?? .sha256)
        try sink.write(bytes)
        return try sink.finish(expected: expected)
    }

    /// Adds a manifest or an index with its content.
    ///
    /// - Parameters:
    ///   - json: the document.
    ///   - mediaType: the media type; without one, the document's own.
    ///   - name: the full reference for the index; without one the document has no name.
    /// - Throws: `Manifest.ParseError` when the document is no manifest and has no media type.
    @discardableResult
    public func addManifest(_ json: [UInt8], mediaType: MediaType? = nil, name: Reference? = nil) throws -> Descriptor {
        let mediaType = try mediaType ?? Manifest(json: json).mediaType
        let content = try addBlob(json)
        let descriptor = Descriptor(mediaType: mediaType, digest: content.digest, size: content.size)
        if let name { try setImage(name, to: descriptor) }
        return descriptor
    }

    /// Sets the target of an image name and replaces a previous one.
    public func setImage(_ name: Reference, to target: Descriptor) throws {
        try updateIndex { manifests in
            manifests.removeAll { Self.name(of: $0) == name.description }
            manifests.append(
                .object([
                    "mediaType": .string(target.mediaType.text),
                    "digest": .string(target.digest.text),
                    "size": .integer(target.size),
                    "annotations": .object([ImageLayout.refNameAnnotation: .string(name.description)]),
                ])
            )
        }
    }

    /// Whether the layout has this content: a file of this size and with this digest.
    public func holds(_ content: Descriptor) throws -> Bool {
        guard let file = try file(of: content) else { return false }
        var hasher = DigestHasher(content.digest.algorithm)
        do {
            try file.forEachPiece { hasher.update($0) }
        } catch {
            // It is pulled anew.
            return false
        }
        return hasher.finish() == content.digest
    }

    /// The bytes of content that the layout has, without a check.
    public func content(of content: Descriptor) throws -> [UInt8]? {
        try file(of: content)?.readAll(limit: Manifest.maximumSize)
    }

    private func file(of content: Descriptor) throws -> ContentFile? {
        let file = try ContentFile.open(path: layout.blobFile(content.digest), followLinks: true)
        return file?.size == content.size ? file : nil
    }

    private static let emptyIndex: [String: JSONValue] = [
        "schemaVersion": .integer(2),
        "mediaType": .string(MediaType.ociIndex.text),
        "manifests": .array([]),
    ]

    static func name(of entry: JSONValue) -> String? {
        guard case .object(let fields) = entry, case .object(let annotations)? = fields["annotations"] else {
            return nil
        }
        for annotation in [ImageLayout.containerdNameAnnotation, ImageLayout.refNameAnnotation] {
            if case .string(let name)? = annotations[annotation], (try? Reference(name)) != nil { return name }
        }
        return nil
    }

    /// Changes the entries of the index and keeps all other members. Concurrent writers wait for each other.
    func updateIndex(_ change: (inout [JSONValue]) -> Void) throws {
        let lock = try FolderLock(layout.path)
        defer { withExtendedLifetime(lock) {} }
        var index = Self.emptyIndex
        if let json = try Files.read(layout.indexFile, limit: ImageLayoutStore.maximumIndexSize) {
            guard case .object(let found)? = try? JSONDecoder().decode(JSONValue.self, from: Data(json)) else {
                throw ImageLayoutError.malformedIndex(path: layout.indexFile, reason: "expected a JSON object")
            }
            index = found
        }
        var manifests: [JSONValue] = []
        if case .array(let found)? = index["manifests"] { manifests = found }
        change(&manifests)
        index["manifests"] = .array(manifests)
        try write(index)
    }

    private func write(_ index: [String: JSONValue]) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        try Files.replace(layout.indexFile, with: Array(try encoder.encode(JSONValue.object(index))))
    }
}
