import NIOCore
import OCI

/// What large content clients have got of late that this node has not hashed, and from which peers.
///
/// A client that asks again for what it has got whole has most likely found it wrong: containerd hashes what it stores,
/// and keeps what is right. The peers that it came from are suspects then.
struct Deliveries {
    /// How long a delivery is remembered.
    static let duration = TimeAmount.minutes(5)
    /// How many are; the eldest gives way.
    static let limit = 1024
    /// How many peers are remembered of one delivery.
    static let maximumSources = 8
    /// How many parts of one, between which something is missing. A client that stores the whole asks for a few at a time,
    /// which end in any order; one that picks parts from anywhere soon has more.
    static let maximumParts = 16

    /// Which client, and what.
    struct Key: Hashable {
        /// The address of the client, without the port.
        var client: String
        var digest: Digest
    }

    private struct Delivery {
        /// The peers that it came from.
        var sources: [String]
        /// What the client has got, in their order, with something missing between any two.
        var parts: [Range<Int64>] = []
        var size: Int64
        var expires: NIODeadline

        var isWhole: Bool { parts.first.map { $0.lowerBound <= 0 && $0.upperBound >= size } ?? false }

        /// - Returns: whether there is room for it.
        mutating func add(_ part: Range<Int64>) -> Bool {
            var merged = part
            var others: [Range<Int64>] = []
            for other in parts {
                if other.upperBound < merged.lowerBound || other.lowerBound > merged.upperBound {
                    others.append(other)
                } else {
                    merged =
                        min(merged.lowerBound, other.lowerBound)..<max(merged.upperBound, other.upperBound)
                }
            }
            guard others.count < Deliveries.maximumParts else { return false }
            others.insert(merged, at: others.firstIndex { $0.lowerBound > merged.lowerBound } ?? others.endIndex)
            parts = others
            return true
        }
    }

    private struct Copy: Hashable {
        var peerID: String
        var digest: Digest
    }

    private var deliveries: [Key: Delivery] = [:]
    /// What came from these peers was found right a moment ago, so a client that asks once more has other reasons.
    private var proven = ExpiringSet<Copy>(limit: limit)

    /// How many there are, those that have ended included until they are met.
    var count: Int { deliveries.count }

    /// A client has got a part of some content.
    mutating func note(_ key: Key, _ part: Range<Int64>, size: Int64, from sources: [String], now: NIODeadline) {
        guard part.lowerBound < part.upperBound else { return }
        var isProven = true
        for source in sources where !proven.contains(Copy(peerID: source, digest: key.digest), now: now) {
            isProven = false
        }
        guard !isProven else { return }
        var delivery = Delivery(sources: [], size: size, expires: now)
        // Who begins anew has thrown away what came before.
        if let known = deliveries[key], known.expires > now, known.size == size,
            part.lowerBound > 0 || known.parts.first?.lowerBound != 0
        {
            delivery = known
        }
        guard delivery.add(part) else { return }
        for source in sources where !delivery.sources.contains(source) && delivery.sources.count < Self.maximumSources {
            delivery.sources.append(source)
        }
        delivery.expires = now + Self.duration
        makeRoom(for: key, now: now)
        deliveries[key] = delivery
    }

    /// The peers that some content came from whole, which the client asks for again; none otherwise.
    func suspects(_ key: Key, now: NIODeadline) -> [String] {
        guard let delivery = deliveries[key], delivery.isWhole, delivery.expires > now else { return [] }
        return delivery.sources
    }

    /// It is known now who is to blame, or that the content is right.
    ///
    /// - Parameter right: the peers whose content was found right.
    mutating func settle(_ key: Key, right: [String], now: NIODeadline) {
        deliveries[key] = nil
        for peerID in right {
            proven.insert(Copy(peerID: peerID, digest: key.digest), until: now + Self.duration, now: now)
        }
    }

    private mutating func makeRoom(for key: Key, now: NIODeadline) {
        guard deliveries.count >= Self.limit, deliveries[key] == nil else { return }
        deliveries = deliveries.filter { $0.value.expires > now }
        if deliveries.count >= Self.limit, let first = deliveries.min(by: { $0.value.expires < $1.value.expires }) {
            deliveries[first.key] = nil
        }
    }
}
