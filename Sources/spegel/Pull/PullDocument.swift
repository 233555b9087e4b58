import OCI

/// The document of `spegel pull --output json`.
struct PullDocument: Encodable {
    var image: String
    var digest: String
    var milliseconds: Double
    /// The folder of the image layout, or `null`.
    var to: String?
    var contents: [Content]

    struct Content: Encodable {
        var kind: String
        var digest: String
        var size: Int64
        var milliseconds: Double
        var resumptions: Int
        var sources: [Source]
    }

    /// A source of a piece of content.
    struct Source: Encodable {
        /// The registry of another node, or `null` for the node itself.
        var address: String?
        var bytes: Int64
    }

    init(_ outcome: ImagePull.Outcome, of reference: Reference, to folder: String?) {
        image = "\(reference)"
        digest = outcome.digest.text
        milliseconds = outcome.time / .milliseconds(1)
        to = folder
        contents = outcome.pieces.map { piece in
            Content(
                kind: piece.kind,
                digest: piece.digest.text,
                size: piece.size,
                milliseconds: piece.time / .milliseconds(1),
                resumptions: piece.resumptions,
                sources: piece.shares.map { Source(address: $0.source, bytes: $0.bytes) }
            )
        }
    }
}

// A member is `null` for a value that is not there; the derived coding would leave the member out.

extension PullDocument {
    private enum CodingKeys: CodingKey {
        case image, digest, milliseconds, to, contents
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(image, forKey: .image)
        try container.encode(digest, forKey: .digest)
        try container.encode(milliseconds, forKey: .milliseconds)
        try container.encode(to, forKey: .to)
        try container.encode(contents, forKey: .contents)
    }
}

extension PullDocument.Source {
    private enum CodingKeys: CodingKey {
        case address, bytes
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(address, forKey: .address)
        try container.encode(bytes, forKey: .bytes)
    }
}
