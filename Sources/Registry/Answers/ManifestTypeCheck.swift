import NIOCore
import OCI

/// Whether a peer has named the media type of a manifest rightly, whose bytes are known to be right: containerd goes by
/// the type that it is told.
enum ManifestTypeCheck {
    /// Larger documents are taken as they are: they would hold the event loop up.
    private static let maximumSize = 1 << 20

    /// Whether a document is of a media type, or says nothing of its own.
    static func passes(_ document: ByteBuffer, as contentType: String) -> Bool {
        guard document.readableBytes <= maximumSize else { return true }
        let type = MediaType(
            contentType.prefix { $0 != ";" }.lowercased().filter { $0 != " " && $0 != "\t" }
        )
        // Mostly it says so itself, in these words; to decode it takes longer than all else that is done for it.
        let bytes = document.readableBytesView
        let list: StaticString? = type.isIndex ? "\"manifests\"" : type.isManifest ? "\"layers\"" : nil
        if let list, contains("\"\(type.text)\"", in: bytes), contains("\(list)", in: bytes) { return true }
        guard let manifest = try? Manifest(json: bytes) else { return true }
        return manifest.mediaType == type
    }

    private static func contains(_ text: String, in bytes: ByteBufferView) -> Bool {
        var text = text
        return text.withUTF8 { pattern in
            bytes.withUnsafeBytes { bytes in
                guard let first = pattern.first, bytes.count >= pattern.count else { return false }
                for start in 0...bytes.count - pattern.count where bytes[start] == first {
                    if pattern.indices.allSatisfy({ bytes[start + $0] == pattern[$0] }) { return true }
                }
                return false
            }
        }
    }
}
