import Glibc
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
        let type = mediaType(contentType)
        // Mostly it says so itself, in these words; to decode it takes longer than all else that is done for it.
        let bytes = document.readableBytesView
        let list: StaticString? = type.isIndex ? "\"manifests\"" : type.isManifest ? "\"layers\"" : nil
        if let list, contains("\"\(type.text)\"", in: bytes), contains("\(list)", in: bytes) { return true }
        guard let manifest = try? Manifest(json: bytes) else { return true }
        return manifest.mediaType == type
    }

    /// The media type in a `Content-Type`, without parameters.
    private static func mediaType(_ contentType: String) -> MediaType {
        let named = MediaType(contentType)
        guard !named.isServedAsManifest else { return named }
        return MediaType(contentType.prefix { $0 != ";" }.lowercased().filter { $0 != " " && $0 != "\t" })
    }

    private static func contains(_ text: String, in bytes: ByteBufferView) -> Bool {
        var text = text
        return text.withUTF8 { pattern in
            bytes.withUnsafeBytes { bytes in
                guard let start = bytes.baseAddress, let text = pattern.baseAddress, let first = pattern.first else {
                    return false
                }
                var place = 0
                while place + pattern.count <= bytes.count {
                    let rest = bytes.count - pattern.count + 1 - place
                    guard let found = memchr(start + place, Int32(first), rest) else { return false }
                    if memcmp(found, text, pattern.count) == 0 { return true }
                    place = UnsafeRawPointer(found) - start + 1
                }
                return false
            }
        }
    }
}
