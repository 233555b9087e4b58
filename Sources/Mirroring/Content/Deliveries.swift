import OCI
import Time

/// The large content that clients have got recently without a check by this node, and from which peers.
///
/// containerd hashes what it stores, and commits what is right. So content that this node's store commits after a delivery
/// was right, and the delivery is forgotten. What was delivered whole and never committed may have been wrong: if the
/// client asks for it again, the peers that it came from are doubted. The time runs from the last byte of the whole, and a
/// later try that fails does not renew it.
struct Deliveries: Sendable {
    /// How long a delivery is remembered.
    static let lifetime = Duration.seconds(300)
    /// The most deliveries that are remembered; the oldest gives way.
    static let limit = 1024
    /// The most peers that are remembered of one delivery.
    static let maximumSources = 8
    /// The most parts of one, between which something is missing. A client that stores the whole asks for a few at a time,
    /// which end in any order; one that picks parts from anywhere soon has more.
    static let maximumParts = 16

    private struct Delivery: Hashable, Sendable {
        /// The peers that it came from.
        var sources: [String] = []
        /// What the client has got, in order, with something missing between any two.
        var parts: [Range<Int64>] = []
        var size: Int64

        var isWhole: Bool { parts.first.map { $0.lowerBound <= 0 && $0.upperBound >= size } ?? false }

        /// - Returns: whether there is room for it.
        mutating func add(_ part: Range<Int64>) -> Bool {
            var merged = part
            var others: [Range<Int64>] = []
            for other in parts {
                if other.upperBound < merged.lowerBound || other.lowerBound > merged.upperBound {
                    others.append(other)
                } else {
                    merged = min(merged.lowerBound, other.lowerBound)..<max(merged.upperBound, other.upperBound)
                }
            }
            guard others.count < Deliveries.maximumParts else { return false }
            others.insert(merged, at: others.firstIndex { $0.lowerBound > merged.lowerBound } ?? others.endIndex)
            parts = others
            return true
        }

        var isValid: Bool {
            parts.count <= Deliveries.maximumParts && sources.count <= Deliveries.maximumSources
                && parts.allSatisfy { !$0.isEmpty }
                && zip(parts, parts.dropFirst()).allSatisfy { $0.upperBound < $1.lowerBound }
        }
    }

    private struct Copy: Hashable, Sendable {
        var peerID: String
        var digest: Digest
    }

    private var deliveries = ExpiringMap<DeliveryKey, Delivery>(limit: limit)
    /// What came from these peers was found right a moment ago, so a client that asks once more has other reasons.
    private var proven = ExpiringSet<Copy>(limit: limit)

    /// How many there are, with those whose time is over until they are found.
    var count: Int { deliveries.count }

    /// A client has got a part of some content.
    mutating func add(
        _ part: Range<Int64>,
        of key: DeliveryKey,
        size: Int64,
        from sources: [String],
        now: MonotonicTime
    ) {
        guard !part.isEmpty else { return }
        let isProven = sources.allSatisfy { proven.contains(Copy(peerID: $0, digest: key.digest), now: now) }
        guard !isProven else { return }
        var delivery = Delivery(size: size)
        // A client that begins anew has thrown away what came before.
        if let known = deliveries.value(of: key, now: now), known.size == size,
            part.lowerBound > 0 || known.parts.first?.lowerBound != 0
        {
            delivery = known
        }
        let wasWhole = delivery.isWhole
        guard delivery.add(part) else { return }
        for source in sources where !delivery.sources.contains(source) && delivery.sources.count < Self.maximumSources {
            delivery.sources.append(source)
        }
        assert(delivery.isValid)
        if wasWhole {
            deliveries.update(key, to: delivery, now: now)
        } else {
            deliveries.insert(delivery, for: key, lifetime: Self.lifetime, now: now)
        }
    }

    /// The store of this node has committed content, so its bytes were right.
    mutating func committed<Content>(_ contents: [Digest: Content]) {
        guard !deliveries.isEmpty else { return }
        for key in deliveries.keys.filter({ contents[$0.digest] != nil }) { deliveries.remove(key) }
    }

    /// The peers that some content came from whole, if the client asks for it again; none otherwise.
    func suspects(of key: DeliveryKey, now: MonotonicTime) -> [String] {
        guard let delivery = deliveries.value(of: key, now: now), delivery.isWhole else { return [] }
        return delivery.sources
    }

    /// It is known now which peer sent wrong bytes, or that the content is right.
    ///
    /// - Parameter right: the peers whose content was found right.
    mutating func settle(_ key: DeliveryKey, right: [String], now: MonotonicTime) {
        deliveries.remove(key)
        for peerID in right {
            proven.insert(Copy(peerID: peerID, digest: key.digest), lifetime: Self.lifetime, now: now)
        }
    }

    /// Whether the parts are what they should be. Takes linear time.
    func checkInvariants(now: MonotonicTime) -> Bool {
        deliveries.checkInvariants() && proven.checkInvariants()
            && deliveries.keys.allSatisfy { deliveries.value(of: $0, now: now)?.isValid ?? true }
    }
}
