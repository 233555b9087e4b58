import ContentStore
import NIOHTTP1
import OCI

/// What a peer's response head says, as far as it matters here. Nothing in it is believed before ``content(asked:for:)``
/// has checked it.
struct PeerResponseHead: Hashable, Sendable {
    var status: Int
    var contentLength: Int64?
    var contentType: String?
    var contentRange: String?
    var contentEncoding: String?
    var digest: String?
    /// Whether it says when to come again.
    var mayRetry = false
    /// Whether the peer says that it has checked the content against its digest just now.
    var isChecked = false
    /// The zone in which the peer says it is.
    var zone: String?

    init(
        status: Int,
        contentLength: Int64? = nil,
        contentType: String? = nil,
        contentRange: String? = nil,
        contentEncoding: String? = nil,
        digest: String? = nil,
        isChecked: Bool = false
    ) {
        self.status = status
        self.contentLength = contentLength
        self.contentType = contentType
        self.contentRange = contentRange
        self.contentEncoding = contentEncoding
        self.digest = digest
        self.isChecked = isChecked
    }

    init(_ head: HTTPResponseHead) {
        status = Int(head.status.code)
        contentLength = head.headers.first(name: "Content-Length").flatMap { Int64($0) }
        contentType = head.headers.first(name: "Content-Type")
        contentRange = head.headers.first(name: "Content-Range")
        contentEncoding = head.headers.first(name: "Content-Encoding")
        digest = head.headers.first(name: "Docker-Content-Digest")
        mayRetry = head.headers.contains(name: "Retry-After")
        isChecked = head.headers.first(name: checkedHeaderName)?.lowercased() == "true"
        zone = head.headers.first(name: zoneHeaderName)
    }
}

/// The content that a peer has promised to send: which part of what.
struct MirroredContent: Hashable, Sendable {
    /// The size of the whole content in bytes.
    var size: Int64
    /// The part that goes to the client; all of it unless the client asked for a range.
    var range: Range<Int64>
    /// Whether the answer is 206 and not 200.
    var isPartial: Bool
    /// The value of `Content-Type`.
    var mediaType: String
    /// The digest: the one that was asked for, else what the first peer said of the tag.
    var digest: Digest?
}

/// Why a peer's response head is of no use.
enum PeerRefusal: Error, Hashable, CustomStringConvertible {
    case notFound
    case status(Int)
    case missingLength
    case missingMediaType
    case wrongMediaType(String)
    case encoded
    case wrongDigest(String?)
    case wrongRange(String?)
    case wrongLength(Int64, expected: Int64)
    /// It says that there is nothing, of content that is not empty.
    case empty
    case tooLarge(Int64)
    case rangeIgnored
    case unchecked

    var description: String {
        switch self {
        case .notFound: "it does not hold the content"
        case .status(let status): "it answered with status \(status)"
        case .missingLength: "it answered without a length"
        case .missingMediaType: "it answered a manifest without a media type"
        case .wrongMediaType(let type): "it answered a manifest as \(type), which it is not"
        case .encoded: "it answered with a content encoding"
        case .wrongDigest(let digest): "it answered with the digest \(digest ?? "(none)")"
        case .wrongRange(let range): "it answered with the range \(range ?? "(none)")"
        case .empty: "it answered with nothing, which is not what the digest says"
        case .wrongLength(let length, let expected): "it answered with \(length) bytes instead of \(expected)"
        case .tooLarge(let length): "it answered a manifest of \(length) bytes"
        case .rangeIgnored: "it ignored the range"
        case .unchecked: "it did not check the content before it sent it"
        }
    }
}

extension PeerResponseHead {
    /// What a peer was asked for.
    enum Asked: Hashable, Sendable {
        /// All of the content.
        case whole
        /// The range that the client wants.
        case range(ByteRange)
        /// The rest of content of which a part has reached the client: from this byte on.
        case rest(of: MirroredContent, from: Int64)

        /// The value of the `Range` header.
        var headerValue: String? {
            switch self {
            case .whole: nil
            case .range(let range): range.headerValue
            case .rest(let content, let offset):
                ByteRange.closed(first: offset, last: content.range.upperBound - 1).headerValue
            }
        }
    }

    /// Whether the peer may hold the content and only cannot send it now.
    var isBusy: Bool { mayRetry && (status == 503 || status == 429) }

    /// The most bytes of a body that are thrown away to come to the place where another peer has stopped.
    static let maximumSkip = Int64(Manifest.maximumSize)

    /// Checks the head against what was asked for.
    ///
    /// - Returns: what the body will hold, and how many bytes at its start the client has already.
    func content(
        asked: Asked,
        for request: MirrorTransfer.Request
    ) throws(PeerRefusal) -> (content: MirroredContent, skip: Int64) {
        let promised = try checkedContent(asked: asked, for: request)
        if let size = request.size, promised.content.size != size {
            throw .wrongLength(promised.content.size, expected: size)
        }
        // No byte of it would come by to be checked.
        if promised.content.size == 0, let digest = request.digest ?? promised.content.digest,
            DigestHasher(digest.algorithm).finish() != digest
        {
            throw .empty
        }
        return promised
    }

    private func checkedContent(
        asked: Asked,
        for request: MirrorTransfer.Request
    ) throws(PeerRefusal) -> (content: MirroredContent, skip: Int64) {
        guard status != 404 else { throw .notFound }
        guard status == 200 || status == 206 else { throw .status(status) }
        guard let length = contentLength, length >= 0 else { throw .missingLength }
        if let contentEncoding, contentEncoding.lowercased() != "identity" { throw .encoded }
        let digest = try checkedDigest(asked: asked, for: request)
        let mediaType = try checkedMediaType(for: request)

        switch (asked, status) {
        case (.whole, 200):
            if request.kind == .manifest, length > Manifest.maximumSize { throw .tooLarge(length) }
            return (
                MirroredContent(
                    size: length,
                    range: 0..<length,
                    isPartial: false,
                    mediaType: mediaType,
                    digest: digest
                ), 0
            )
        case (.range(let range), 206):
            let (found, size) = try checkedRange(length: length)
            guard range.resolved(size: size) == found else { throw .wrongRange(contentRange) }
            return (
                MirroredContent(size: size, range: found, isPartial: true, mediaType: mediaType, digest: digest), 0
            )
        case (.rest(let content, let offset), 206):
            let (found, size) = try checkedRange(length: length)
            guard size == content.size, found == offset..<content.range.upperBound else {
                throw .wrongRange(contentRange)
            }
            return (content, 0)
        case (.rest(let content, let offset), 200):
            guard length == content.size else { throw .wrongLength(length, expected: content.size) }
            guard content.range.upperBound == content.size, offset <= Self.maximumSkip else { throw .rangeIgnored }
            return (content, offset)
        case (.range, _): throw .rangeIgnored
        case (.whole, _): throw .status(status)
        case (.rest, _): throw .status(status)
        }
    }

    /// The size of the content when a peer says, without contradicting itself, that it has none of the range.
    ///
    /// - Parameter known: the size, where it is known.
    func unsatisfiableSize(asked: Asked, known: Int64? = nil) -> Int64? {
        guard status == 416, case .range(let range) = asked, let contentRange else { return nil }
        let prefix = "bytes */"
        guard contentRange.utf8.count <= 64, contentRange.hasPrefix(prefix) else { return nil }
        guard let size = Int64(contentRange.dropFirst(prefix.count)), size >= 0, size == known ?? size else {
            return nil
        }
        return range.resolved(size: size) == nil ? size : nil
    }

    private func checkedRange(length: Int64) throws(PeerRefusal) -> (range: Range<Int64>, size: Int64) {
        guard let contentRange, let parsed = ByteRange.parse(contentRange: contentRange) else {
            throw .wrongRange(contentRange.map { String($0.prefix(128)) })
        }
        let count = parsed.range.upperBound - parsed.range.lowerBound
        guard count == length else { throw .wrongLength(length, expected: count) }
        return parsed
    }

    private func checkedDigest(asked: Asked, for request: MirrorTransfer.Request) throws(PeerRefusal) -> Digest? {
        let found = digest.flatMap { try? Digest($0) }
        if let expected = request.digest {
            guard digest == nil || found == expected else { throw .wrongDigest(digest.map { String($0.prefix(160)) }) }
            return expected
        }
        // A tag may stand for something else at another peer: bytes of two manifests must never be mixed.
        if case .rest(let content, _) = asked {
            guard let found, found == content.digest else { throw .wrongDigest(digest.map { String($0.prefix(160)) }) }
        }
        return found
    }

    private func checkedMediaType(for request: MirrorTransfer.Request) throws(PeerRefusal) -> String {
        let plausible = contentType.flatMap { text in
            let isText = !text.isEmpty && text.utf8.count <= 255 && text.utf8.allSatisfy { (0x20...0x7E).contains($0) }
            return isText ? text : nil
        }
        if let plausible { return plausible }
        guard request.kind == .blob else { throw .missingMediaType }
        return MediaType.octetStream.text
    }
}
