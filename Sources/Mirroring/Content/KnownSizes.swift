import OCI
import Time

/// The sizes of content that manifests named which came by: what a peer says of the content is compared with that.
struct KnownSizes: Sendable {
    /// The most sizes that are remembered; those that were learnt first give way.
    static let limit = 8192
    /// How long they are. They cannot change; this is for memory's sake.
    static let lifetime = Duration.seconds(86_400)

    private var sizes = ExpiringMap<Digest, Int64>(limit: limit)

    /// How many there are.
    var count: Int { sizes.count }

    /// The size of some content in bytes, where a manifest has named it.
    func size(_ digest: Digest, now: MonotonicTime) -> Int64? { sizes.value(of: digest, now: now) }

    /// Learns what a manifest names.
    mutating func learn(_ descriptors: [Descriptor], now: MonotonicTime) {
        for descriptor in descriptors.prefix(Self.limit) where descriptor.size >= 0 {
            sizes.insert(descriptor.size, for: descriptor.digest, lifetime: Self.lifetime, now: now)
        }
    }

    /// Whether the parts are what they should be. Takes linear time.
    func checkInvariants() -> Bool { sizes.checkInvariants() }
}
