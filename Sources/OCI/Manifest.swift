import FoundationEssentials

/// A manifest or an index as far as the content that it names goes. OCI image-spec, "Image Manifest" and
/// "Image Index"; Docker's manifest schema 2 and manifest list have the same fields.
public struct Manifest: Hashable, Sendable {
    /// Why some bytes are no manifest.
    public enum ParseError: Error, Hashable, CustomStringConvertible {
        /// The document is larger than a registry must accept.
        case tooLarge(Int)
        /// The document is not JSON of the expected shape.
        case malformed(String)
        /// The document names neither manifests nor layers nor a configuration.
        case notAManifest

        /// The error in words.
        public var description: String {
            switch self {
            case .tooLarge(let size): "a manifest has at most \(Manifest.maximumSize) bytes, this one has \(size)"
            case .malformed(let reason): "the manifest is malformed: \(reason)"
            case .notAManifest: "the document is neither a manifest nor an index"
            }
        }
    }

    /// The largest document that is read as a manifest, in bytes. The distribution specification asks registries to
    /// take 4 MiB at least; containerd reads no more than 8 MiB.
    public static let maximumSize = 8 << 20

    /// What the document is: as it says itself, else by its fields.
    public let mediaType: MediaType

    /// Whether the document is an index, so that its children are manifests whatever their media types say.
    public let isIndex: Bool

    /// The content that it names, in its order: manifests of an index; configuration, then layers of a manifest.
    public let children: [Descriptor]

    /// Reads a manifest or an index.
    public init(json: some Collection<UInt8>) throws(ParseError) {
        guard json.count <= Self.maximumSize else { throw .tooLarge(json.count) }
        let document: Document
        do {
            document = try JSONDecoder().decode(Document.self, from: Data(json))
        } catch let error as DecodingError {
            throw .malformed(Self.reason(error))
        } catch {
            throw .malformed("\(error)")
        }
        if let manifests = document.manifests {
            mediaType = document.mediaType ?? .ociIndex
            isIndex = true
            children = manifests
        } else if document.config != nil || document.layers != nil || document.blobs != nil {
            mediaType = document.mediaType ?? .ociManifest
            isIndex = false
            children = (document.config.map { [$0] } ?? []) + (document.layers ?? []) + (document.blobs ?? [])
        } else {
            throw .notAManifest
        }
    }

    private struct Document: Decodable {
        var mediaType: MediaType?
        var manifests: [Descriptor]?
        var config: Descriptor?
        var layers: [Descriptor]?
        /// The content of an artifact manifest, which the specification has dropped but registries still hold.
        var blobs: [Descriptor]?
    }

    private static func reason(_ error: DecodingError) -> String {
        switch error {
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
            let path = context.codingPath.map(\.stringValue).joined(separator: ".")
            return path.isEmpty ? context.debugDescription : "\(path): \(context.debugDescription)"
        case .keyNotFound(let key, let context):
            return (context.codingPath + [key]).map(\.stringValue).joined(separator: ".") + " is missing"
        @unknown default:
            return "\(error)"
        }
    }
}
