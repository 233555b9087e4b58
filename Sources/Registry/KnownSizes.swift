import OCI

/// How large the content is that manifests name, which came by a moment ago: what a peer says of it is compared with that.
struct KnownSizes {
    /// How many sizes are remembered at least, once there were as many; at most twice as many are.
    static let limit = 4096
    /// The largest manifest that is looked at, in bytes.
    static let maximumManifestSize = 1 << 20

    /// In two generations: when the younger is full it becomes the elder, and that one is forgotten.
    private var younger: [Digest: Int64] = [:]
    private var elder: [Digest: Int64] = [:]

    /// How many there are.
    var count: Int { younger.count + elder.count }

    /// The size of some content in bytes, where a manifest has told it.
    func size(_ digest: Digest) -> Int64? { younger[digest] ?? elder[digest] }

    /// Notes what a manifest names.
    mutating func note(_ descriptors: [Descriptor]) {
        for descriptor in descriptors.prefix(Self.limit) where descriptor.size >= 0 {
            if younger.count >= Self.limit, younger[descriptor.digest] == nil {
                elder = younger
                younger = [:]
            }
            younger[descriptor.digest] = descriptor.size
        }
    }
}
