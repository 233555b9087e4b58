import OCI

/// The parts of a peer's response head that matter to a transfer. ``content(asked:for:)`` checks them; nothing is trusted
/// before.
package struct PeerResponse: Hashable, Sendable {
    package var status: Int
    package var contentLength: Int64?
    package var contentType: String?
    package var contentRange: String?
    package var contentEncoding: String?
    package var digest: String?
    /// Whether it has a `Retry-After`.
    package var mayRetry = false
    /// Whether the peer says that it has just verified the content.
    package var isChecked = false
    /// The peer's proof of its answer.
    package var proof: String?
    /// `false` if the answer had to be proven, and was not.
    package var isProven = true
    /// The zone that the peer names as its own.
    package var zone: String?

    package init(
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
}

extension PeerResponse {
    /// Whether the peer may hold the content but cannot send it now.
    package var isBusy: Bool { mayRetry && (status == 503 || status == 429) }

    /// The most bytes of a body that are dropped to reach the byte at which another peer stopped.
    package static let maximumSkip = Int64(Manifest.maximumSize)

    /// Checks the response against the request.
    ///
    /// - Returns: what the body will hold, and how many bytes at its start the client already has.
    package func content(
        asked: RequestedPart,
        for request: TransferRequest
    ) throws(PeerRefusal) -> (content: PromisedContent, skip: Int64) {
        let promised = try checkedContent(asked: asked, for: request)
        if let size = request.size, promised.content.size != size {
            throw .wrongLength(promised.content.size, expected: size)
        }
        // Empty content has no byte that could be verified on its way.
        if promised.content.size == 0, let digest = request.digest ?? promised.content.digest,
            digest != Self.digestOfNothing(digest.algorithm)
        {
            throw .empty
        }
        return promised
    }

    private func checkedContent(
        asked: RequestedPart,
        for request: TransferRequest
    ) throws(PeerRefusal) -> (content: PromisedContent, skip: Int64) {
        guard status != 404 else { throw .notFound }
        guard status == 200 || status == 206 else { throw .status(status) }
        guard isProven else { throw .unproven }
        guard let length = contentLength, length >= 0 else { throw .missingLength }
        if let contentEncoding, contentEncoding.lowercased() != "identity" { throw .encoded }
        let digest = try checkedDigest(asked: asked, for: request)
        let mediaType = try checkedMediaType(for: request)

        switch (asked, status) {
        case (.whole, 200):
            if request.kind == .manifest, length > Manifest.maximumSize { throw .tooLarge(length) }
            return (
                PromisedContent(
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
                PromisedContent(size: size, range: found, isPartial: true, mediaType: mediaType, digest: digest), 0
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

    /// The size of the content if the peer says, without contradicting itself, that the range is outside of it.
    ///
    /// - Parameter known: the size, where it is known.
    package func unsatisfiableSize(asked: RequestedPart, known: Int64? = nil) -> Int64? {
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

    private func checkedDigest(asked: RequestedPart, for request: TransferRequest) throws(PeerRefusal) -> Digest? {
        let found = digest.flatMap { try? Digest($0) }
        if let expected = request.digest {
            guard digest == nil || found == expected else { throw .wrongDigest(digest.map { String($0.prefix(160)) }) }
            return expected
        }
        // Another peer may hold another manifest under the tag. Their bytes must never be mixed.
        if case .rest(let content, _) = asked {
            guard let found, found == content.digest else { throw .wrongDigest(digest.map { String($0.prefix(160)) }) }
        }
        return found
    }

    private func checkedMediaType(for request: TransferRequest) throws(PeerRefusal) -> String {
        let plausible = contentType.flatMap { text in
            let isText = !text.isEmpty && text.utf8.count <= 255 && text.utf8.allSatisfy { (0x20...0x7E).contains($0) }
            return isText ? text : nil
        }
        if let plausible { return plausible }
        guard request.kind == .blob else { throw .missingMediaType }
        return MediaType.octetStream.text
    }

    /// The digest of empty content (FIPS 180-4).
    private static func digestOfNothing(_ algorithm: Digest.Algorithm) -> Digest? {
        switch algorithm {
        case .sha256: try? Digest("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        case .sha512:
            try? Digest(
                "sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
                    + "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"
            )
        }
    }
}
