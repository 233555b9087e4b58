import OCI
import Time

/// What manifests said of content that they named: its size, with which the node compares what a peer says, and the
/// registry that they came from.
struct KnownSizes: Sendable {
    /// The most sizes that are remembered; those that were learnt first give way.
    static let limit = 8192
    /// How long they are. They cannot change; this is for memory's sake.
    static let lifetime = Duration.seconds(86_400)

    private struct Known: Sendable {
        var size: Int64
        var registry: RegistryName?
    }

    private var sizes = ExpiringMap<Digest, Known>(limit: limit)

    /// How many there are.
    var count: Int { sizes.count }

    /// The size of some content in bytes, where a manifest has named it.
    func size(_ digest: Digest, now: MonotonicTime) -> Int64? { sizes.value(of: digest, now: now)?.size }

    /// The registry of a manifest that has named some content.
    func registry(of digest: Digest, now: MonotonicTime) -> RegistryName? {
        sizes.value(of: digest, now: now)?.registry
    }

    /// Learns what a manifest of a registry names.
    mutating func learn(_ descriptors: [Descriptor], of registry: RegistryName?, now: MonotonicTime) {
        for descriptor in descriptors.prefix(Self.limit) where descriptor.size >= 0 {
            let known = Known(
                size: descriptor.size,
                registry: registry ?? self.registry(of: descriptor.digest, now: now)
            )
            sizes.insert(known, for: descriptor.digest, lifetime: Self.lifetime, now: now)
        }
    }

    /// Whether the parts are what they should be. Takes linear time.
    func checkInvariants() -> Bool { sizes.checkInvariants() }
}
