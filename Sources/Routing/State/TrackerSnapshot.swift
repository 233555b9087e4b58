import OCI
import Time

/// The state of the state tracker at one moment.
public struct TrackerSnapshot: Sendable {
    /// The state of the store.
    public enum Store: Hashable, Sendable {
        /// Not read yet.
        case starting
        /// Followed.
        case followed
        /// Unavailable, with the reason and the start time. Content that was known before stays advertised.
        case away(reason: String, since: MonotonicTime)
    }

    /// The advertised content of one registry.
    public struct Advertised: Hashable, Sendable {
        /// Images by tag.
        public var tags = 0
        /// Images by digest.
        public var digests = 0
        /// Pieces of content.
        public var contents = 0
        /// Images by any name.
        public var images: Int { tags + digests }
    }

    /// A full reading.
    public struct Comparison: Hashable, Sendable {
        /// The duration.
        public var duration: Duration
        /// The end time.
        public var end: MonotonicTime
        /// The end time in seconds since 1970.
        public var endTime: Double
    }

    /// The maximum number of registries to list. Others are added up under ``otherRegistries``.
    public static let maximumRegistries = 50
    /// The name for all further registries.
    public static let otherRegistries = "other"
    /// The name for content of unknown origin.
    public static let unknownRegistry = "unknown"

    /// The state of the store.
    public var store: Store
    /// The number of outages.
    public var outages: Int
    /// The number of advertised keys.
    public var keys: Int
    /// The advertised content by registry, bounded in number.
    public var registries: [String: Advertised]
    /// The number of held pieces of content that are not shared.
    public var withheldContents: Int
    /// The number of images without any of their layers, so that they cannot be shared as a whole.
    public var imagesWithoutLayers: Int
    /// The last full reading.
    public var lastComparison: Comparison?

    /// Counts the advertised content.
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
