import OCI

/// What the state tracker knows at one moment, for whoever watches the node.
public struct TrackerSnapshot: Sendable {
    /// How it stands with the store.
    public enum Store: Hashable, Sendable {
        /// It has not been read yet.
        case starting
        /// It is followed.
        case followed
        /// It cannot be followed: why, and since when. What was known before stays advertised.
        case away(reason: String, since: ContinuousClock.Instant)
    }

    /// What is advertised of one registry.
    public struct Advertised: Hashable, Sendable {
        /// Images by tag.
        public var tags = 0
        /// Images by digest.
        public var digests = 0
        /// Pieces of content.
        public var contents = 0
        /// Images, by whatever name.
        public var images: Int { tags + digests }
    }

    /// A reading of everything.
    public struct Comparison: Hashable, Sendable {
        /// How long it took.
        public var duration: Duration
        /// When it ended.
        public var end: ContinuousClock.Instant
        /// When it ended, in seconds since 1970.
        public var endTime: Double
    }

    /// The most registries that are told apart; the others are added up under ``otherRegistries``.
    public static let maximumRegistries = 50
    /// What stands for the registries beyond the most.
    public static let otherRegistries = "other"
    /// What stands for content of which nobody knows where it comes from.
    public static let unknownRegistry = "unknown"

    /// How it stands with the store.
    public var store: Store
    /// How often the store was lost.
    public var outages: Int
    /// How many keys are advertised.
    public var keys: Int
    /// What is advertised, by registry; bounded in number.
    public var registries: [String: Advertised]
    /// How many pieces of content are held and not shared.
    public var withheldContents: Int
    /// How many images are held without any of their layers, so that they cannot be shared whole.
    public var imagesWithoutLayers: Int
    /// The last reading of everything.
    public var lastComparison: Comparison?

    /// Adds up what is advertised.
    static func registries(
        images: some Collection<String>,
        contents: [RegistryName?: Int],
        limit: Int = maximumRegistries
    ) -> [String: Advertised] {
        var all: [String: Advertised] = [:]
        for image in images {
            let registry = String(image.prefix { $0 != "/" })
            if image.utf8.contains(UInt8(ascii: "@")) {
                all[registry, default: Advertised()].digests += 1
            } else {
                all[registry, default: Advertised()].tags += 1
            }
        }
        for (registry, count) in contents {
            all[registry?.text ?? unknownRegistry, default: Advertised()].contents += count
        }
        guard all.count > limit else { return all }
        let order = all.sorted { left, right in
            let (one, other) = (left.value.images + left.value.contents, right.value.images + right.value.contents)
            return one == other ? left.key < right.key : one > other
        }
        var kept = Dictionary(uniqueKeysWithValues: order.prefix(limit).map { ($0.key, $0.value) })
        var rest = kept[otherRegistries] ?? Advertised()
        for (_, advertised) in order.dropFirst(limit) {
            rest.tags += advertised.tags
            rest.digests += advertised.digests
            rest.contents += advertised.contents
        }
        kept[otherRegistries] = rest
        return kept
    }
}
