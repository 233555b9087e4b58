import OCI
import Time

/// What this node knows of content that it does not hold: sizes, what clients got of it, what no node had.
///
/// A value without clock. Each part is bounded, and forgets.
package struct ContentBook: Sendable {
    /// The largest manifest from which sizes are learnt, in bytes.
    package static let maximumManifestSize = 1 << 20

    private var sizes = KnownSizes()
    private var deliveries = Deliveries()
    private var misses = MissedContent()

    package init() {}

    /// How many sizes, deliveries and misses are remembered, with those whose time is over until they are found.
    package var counts: (sizes: Int, deliveries: Int, misses: Int) { (sizes.count, deliveries.count, misses.count) }

    /// Takes in what has happened.
    package mutating func record(_ event: ContentEvent, now: MonotonicTime) {
        switch event {
        case .named(let descriptors, let registry): sizes.learn(descriptors, of: registry, now: now)
        case .missed(let digest, let start, let registry):
            misses.missed(digest, from: start, registry: registry, now: now)
        case .delivered(let digest, let start): misses.delivered(digest, from: start, now: now)
        }
    }

    /// Takes in how a transfer of large content to a client ended.
    ///
    /// - Parameter suspects: what ``suspects(of:now:)`` said when the client asked.
    /// - Returns: the peers that are doubted from now on, since the client asked again for what came from them.
    package mutating func record(
        _ outcome: DeliveryOutcome,
        of delivery: DeliveryKey,
        suspects: [String],
        now: MonotonicTime
    ) -> [String] {
        switch outcome {
        case .matched(let sources):
            deliveries.settle(delivery, right: sources, now: now)
            // What the client got before may have been something else.
            return suspects.filter { !sources.contains($0) }
        case .mismatched: deliveries.settle(delivery, right: [], now: now)
        case .checkedByPeer(let peerID): deliveries.settle(delivery, right: [peerID], now: now)
        case .unchecked(let part, let size, let sources):
            deliveries.add(part, of: delivery, size: size, from: sources, now: now)
        }
        return []
    }

    /// Takes in content that this node holds from now on.
    ///
    /// - Returns: what of it came from source registries.
    package mutating func arrived<Content>(
        _ contents: [Digest: Content],
        size: (Content) -> Int64,
        now: MonotonicTime
    ) -> [SourceArrival] {
        deliveries.committed(contents)
        return misses.arrived(contents, size: size, now: now)
    }

    /// The registry of a manifest that has named some content.
    package func registry(of digest: Digest, now: MonotonicTime) -> RegistryName? {
        sizes.registry(of: digest, now: now)
    }

    /// The size of some content in bytes, where a manifest has named it.
    package func size(of digest: Digest, now: MonotonicTime) -> Int64? { sizes.size(digest, now: now) }

    /// The peers that a client got some content from whole, which it asks for again: some of it may have been wrong.
    package func suspects(of delivery: DeliveryKey, now: MonotonicTime) -> [String] {
        deliveries.suspects(of: delivery, now: now)
    }

    /// Whether all parts are what they should be. Takes linear time.
    package func checkInvariants(now: MonotonicTime) -> Bool {
        sizes.checkInvariants() && deliveries.checkInvariants(now: now) && misses.checkInvariants(now: now)
    }
}
