import FoundationEssentials

/// The references in a manifest or an index. OCI image-spec, "Image Manifest" and "Image Index"; Docker's manifest
/// schema 2 and manifest list have the same fields.
public struct Manifest: Hashable, Sendable {
    /// An error from parsing a manifest.
    public enum ParseError: Error, Hashable, CustomStringConvertible {
        /// The document is larger than ``Manifest/maximumSize``.
        case tooLarge(Int)
        /// The document is not JSON of the expected form.
        case malformed(String)
        /// The document names no manifests, no layers and no configuration.
        case notAManifest

        /// The error in words.
        public var description: String {
            switch self {
            case .tooLarge(let size): "expected a manifest of at most \(Manifest.maximumSize) bytes, found \(size)"
            case .malformed(let reason): "malformed manifest: \(reason)"
            case .notAManifest: "expected a manifest or an index, found another document"
            }
        }
    }

    /// The maximum size of a manifest in bytes. The distribution specification asks registries to accept at least 4
    /// MiB; containerd reads at most 8 MiB.
    public static let maximumSize = 8 << 20

    /// The media type: the document's own, or else derived from its fields.
    public let mediaType: MediaType

    /// Whether the document is an index. Its children are then manifests, whatever their media types.
    public let isIndex: Bool

    /// The referenced content in document order: manifests of an index; configuration and layers of a manifest.
    public let children: [Descriptor]

    /// Parses a manifest or an index.
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
        /// The content of an artifact manifest. The specification has dropped these, but registries still hold some.
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
