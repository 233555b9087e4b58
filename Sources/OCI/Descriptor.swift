/// The media type, digest and size of a piece of content. OCI image-spec, "Content Descriptors".
public struct Descriptor: Hashable, Sendable, Codable {
    /// The media type of the content.
    public var mediaType: MediaType
    /// The digest of the content.
    public var digest: Digest
    /// The size of the content in bytes; never negative.
    public var size: Int64

    /// Creates a descriptor.
    public init(mediaType: MediaType, digest: Digest, size: Int64) {
        self.mediaType = mediaType
        self.digest = digest
        self.size = max(0, size)
    }

    private enum CodingKeys: String, CodingKey {
        case mediaType, digest, size
    }

    /// Decodes a descriptor. A negative size is a decoding error.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        mediaType = try container.decodeIfPresent(MediaType.self, forKey: .mediaType) ?? .octetStream
        digest = try container.decode(Digest.self, forKey: .digest)
        size = try container.decode(Int64.self, forKey: .size)
        guard size >= 0 else {
            throw DecodingError.dataCorruptedError(forKey: .size, in: container, debugDescription: "size is negative")
        }
    }
}
