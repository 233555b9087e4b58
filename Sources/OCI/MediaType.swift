/// A media type of content in a registry. Any text is allowed; the types that Spegel handles have names.
public struct MediaType: Hashable, Sendable, Codable, CustomStringConvertible {
    /// The type as text.
    public let text: String

    /// Creates a media type from its text.
    public init(_ text: String) {
        self.text = text
    }

    /// Decodes a media type from a string.
    public init(from decoder: any Decoder) throws {
        text = try decoder.singleValueContainer().decode(String.self)
    }

    /// Encodes the type as its text.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }

    /// The type as text.
    public var description: String { text }

    /// An OCI image index.
    public static let ociIndex = MediaType("application/vnd.oci.image.index.v1+json")
    /// An OCI image manifest.
    public static let ociManifest = MediaType("application/vnd.oci.image.manifest.v1+json")
    /// An OCI image configuration.
    public static let ociConfig = MediaType("application/vnd.oci.image.config.v1+json")
    /// An OCI layer, compressed with gzip.
    public static let ociLayerGzip = MediaType("application/vnd.oci.image.layer.v1.tar+gzip")
    /// A Docker manifest list, the predecessor of the index.
    public static let dockerManifestList = MediaType("application/vnd.docker.distribution.manifest.list.v2+json")
    /// A Docker image manifest, schema 2.
    public static let dockerManifest = MediaType("application/vnd.docker.distribution.manifest.v2+json")
    /// Bytes of unknown type.
    public static let octetStream = MediaType("application/octet-stream")

    /// Whether this is an index or a manifest list.
    public var isIndex: Bool {
        self == .ociIndex || self == .dockerManifestList
    }

    /// Whether this is the manifest of a single image.
    public var isManifest: Bool {
        self == .ociManifest || self == .dockerManifest
    }

    /// Whether content of this type is served under `/manifests/`.
    public var isServedAsManifest: Bool {
        isIndex || isManifest
    }

    /// Whether this is the configuration of a container image.
    public var isImageConfig: Bool {
        self == .ociConfig || text == "application/vnd.docker.container.image.v1+json"
    }

    /// Whether this is a layer that registries do not hold: runtimes get it from the URLs in its descriptor.
    public var isForeignLayer: Bool {
        text.hasPrefix("application/vnd.oci.image.layer.nondistributable.")
            || text.hasPrefix("application/vnd.docker.image.rootfs.foreign.")
    }

    /// Whether this is a layer of a container image, compressed or not.
    public var isImageLayer: Bool {
        text.hasPrefix("application/vnd.oci.image.layer.") || text.hasPrefix("application/vnd.docker.image.rootfs.")
    }
}
