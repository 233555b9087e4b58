public import Multiformats
import Time

/// The provider records of other nodes: which peer provides which key, and until when.
///
/// Finding, adding and removing a record takes constant time, and expiry takes time for expired records only. A record
/// takes 64 bytes and its share of a table of 32-bit slots. A provider's id and last addresses are stored once.
public struct ProviderStore: Sendable {
    /// The lifetime of records and the limits of their number.
    public struct Configuration: Sendable {
        /// The lifetime of a record after its last confirmation. (Spegel v0.7: 19 minutes.)
        public var timeToLive: Duration = .seconds(600)
        /// The maximum lifetime, whatever its provider requests.
        public var maximumTimeToLive: Duration = .seconds(86_400)
        /// The maximum number of records of one key. Further providers are refused, so that the existing ones cannot be
        /// pushed out.
        public var maximumPerKey = 256
        /// The maximum number of records of one provider. Further keys are refused.
        public var maximumPerProvider = 100_000
        /// The maximum number of records. At the limit, the provider with the most loses its oldest to one with fewer.
        public var maximumRecords = 1_000_000

        /// The defaults.
        public init() {}
    }

    /// The result of an offered record.
    public enum Addition: Hashable, Sendable {
        /// A new record.
        case added
        /// A renewed record.
        case renewed
        /// The key has the maximum number of providers.
        case refusedByKeyLimit
        /// The provider has the maximum number of records.
        case refusedByProviderLimit
        /// The store is full, and no other peer has more records than this provider.
        case refusedByTotalLimit
    }

    /// The limits.
    public let configuration: Configuration
    /// The number of records, including expired ones that ``expire(now:limit:)`` has not removed yet.
    public private(set) var count = 0

    private var records = RecordTable()
    private var providers: [Provider] = []
    private var freeProviders: [UInt32] = []
    private var providerIndex: [PeerID: UInt32] = [:]

    private struct Provider: Sendable {
        var info: PeerInfo
        var count = 0
        var oldest = RecordTable.none
        var newest = RecordTable.none
    }

    /// Creates an empty store.
    public init(configuration: Configuration = Configuration()) {
        self.configuration = configuration
    }

    /// The number of peers with records.
    public var providerCount: Int { providerIndex.count }

    // MARK: - Changing

    /// Adds or renews the record that `provider` provides the key at `position`.
    ///
    /// - Parameter timeToLive: the lifetime; by default the configured one.
    public mutating func add(
        _ provider: PeerInfo,
        for position: KeySpacePosition,
        timeToLive: Duration? = nil,
        now: MonotonicTime
    ) -> Addition {
        let expiry = now + min(timeToLive ?? configuration.timeToLive, configuration.maximumTimeToLive)
        let known = providerIndex[provider.id]
        let (held, heldOfKey) = records.find(position, provider: known)
        if let held, let known {
            providers[Int(known)].info.addresses = Self.bounded(provider.addresses)
            unlinkFromProvider(held)
            linkToProvider(held)
            records.renew(held, expiry: expiry)
            return .renewed
        }
        guard heldOfKey < configuration.maximumPerKey else { return .refusedByKeyLimit }
        let ownCount = known.map { providers[Int($0)].count } ?? 0
        guard ownCount < configuration.maximumPerProvider else { return .refusedByProviderLimit }
        if count >= configuration.maximumRecords {
            guard makeRoom(forProviderWith: ownCount) else { return .refusedByTotalLimit }
        }
        let slot = known ?? makeProvider(provider.id)
        providers[Int(slot)].info.addresses = Self.bounded(provider.addresses)
        linkToProvider(records.insert(position, provider: slot, expiry: expiry))
        count += 1
        return .added
    }

    /// Removes a record.
    ///
    /// - Returns: whether it existed.
    @discardableResult
    public mutating func remove(_ provider: PeerID, for position: KeySpacePosition) -> Bool {
        guard let slot = providerIndex[provider], let record = records.find(position, provider: slot).record else {
            return false
        }
        remove(record)
        return true
    }

    /// Removes all records of a provider, in time proportional to their number.
    ///
    /// - Returns: the number of removed records.
    @discardableResult
    public mutating func removeAll(of provider: PeerID) -> Int {
        guard let slot = providerIndex[provider] else { return 0 }
        let removed = providers[Int(slot)].count
        // The slot is freed with its last record, so it must not be read after that.
        for _ in 0..<removed { remove(providers[Int(slot)].oldest) }
        return removed
    }

    /// Removes at most `limit` expired records.
    ///
    /// - Returns: the number of removed records; with `limit` there may be more.
    @discardableResult
    public mutating func expire(now: MonotonicTime, limit: Int = .max) -> Int {
        var removed = 0
        while removed < limit {
            // In parts, so that no long list is built.
            let expired = records.expired(now: now, limit: min(limit - removed, 1024))
            guard !expired.isEmpty else { break }
            for record in expired { remove(record) }
            removed += expired.count
        }
        return removed
    }

    /// The next time for ``expire(now:limit:)``; `nil` without records.
    public var nextExpiry: MonotonicTime? { records.nextExpiry }

    // MARK: - Queries

    /// The providers of the key at `position` with valid records, the last confirmed first.
    public func providers(for position: KeySpacePosition, now: MonotonicTime) -> [PeerInfo] {
        records.records(of: position)
            .filter { $0.expiry > now }
            .sorted { $0.expiry > $1.expiry }
            .map { providers[Int($0.provider)].info }
    }

    // MARK: - Providers

    private static func bounded(_ addresses: [Multiaddr]) -> [Multiaddr] {
        Array(addresses.prefix(Message.Limits.addresses))
    }

    private mutating func makeProvider(_ id: PeerID) -> UInt32 {
        let provider = Provider(info: PeerInfo(id: id, addresses: []))
        let slot: UInt32
        if let free = freeProviders.popLast() {
            slot = free
            providers[Int(free)] = provider
        } else {
            // There are at most as many providers as records, whose slots have 32 bits.
            slot = UInt32(truncatingIfNeeded: providers.count)
            providers.append(provider)
        }
        providerIndex[id] = slot
        return slot
    }

    private mutating func makeRoom(forProviderWith ownCount: Int) -> Bool {
        // A scan over providers, not records, and only when the store is full.
        guard let heaviest = providers.max(by: { $0.count < $1.count }), heaviest.count > ownCount + 1 else {
            return false
        }
        remove(heaviest.oldest)
        return true
    }

    private mutating func remove(_ record: UInt32) {
        let slot = records[record].provider
        unlinkFromProvider(record)
        records.remove(record)
        count -= 1
        guard providers[Int(slot)].count == 0 else { return }
        providerIndex[providers[Int(slot)].info.id] = nil
        providers[Int(slot)].info.addresses = []
        freeProviders.append(slot)
    }

    private mutating func linkToProvider(_ record: UInt32) {
        let slot = Int(records[record].provider)
        let newest = providers[slot].newest
        records[record].previousOfProvider = newest
        records[record].nextOfProvider = RecordTable.none
        if newest == RecordTable.none {
            providers[slot].oldest = record
        } else {
            records[newest].nextOfProvider = record
        }
        providers[slot].newest = record
        providers[slot].count += 1
    }

    private mutating func unlinkFromProvider(_ record: UInt32) {
        let slot = Int(records[record].provider)
        let (previous, next) = (records[record].previousOfProvider, records[record].nextOfProvider)
        if previous == RecordTable.none {
            providers[slot].oldest = next
        } else {
            records[previous].nextOfProvider = next
        }
        if next == RecordTable.none {
            providers[slot].newest = previous
        } else {
            records[next].previousOfProvider = previous
        }
        providers[slot].count -= 1
    }

    // MARK: - Invariants

    /// How many places ``checkInvariants()`` visits.
    var checkedPlaces: Int { records.checkedPlaces + providers.count }

    /// Checks that the records and their providers agree with each other, and that the limits hold.
    ///
    /// - Returns: what does not hold; `nil` if all does. Takes linear time.
    public func checkInvariants() -> String? {
        if let violation = records.checkInvariants() { return violation }
        if records.count != count { return "provider store: records are miscounted" }
        if count > configuration.maximumRecords { return "provider store: too many records" }
        if providerIndex.count + freeProviders.count != providers.count { return "provider store: a provider is lost" }
        var reached = 0
        var ofKey: [KeySpacePosition: Set<UInt32>] = [:]
        for (id, slot) in providerIndex {
            let provider = providers[Int(slot)]
            if provider.info.id != id { return "provider store: a provider has the slot of another" }
            if provider.count == 0 { return "provider store: a provider without records has a slot" }
            if provider.count > configuration.maximumPerProvider { return "provider store: a provider has too many" }
            var (link, previous, linked) = (provider.oldest, RecordTable.none, 0)
            while link != RecordTable.none, linked <= provider.count {
                let record = records[link]
                if record.provider != slot { return "provider store: a provider's list has a foreign record" }
                if record.previousOfProvider != previous { return "provider store: a provider's links disagree" }
                guard ofKey[record.position, default: []].insert(slot).inserted else {
                    return "provider store: a provider has two records of a key"
                }
                linked += 1
                (link, previous) = (record.nextOfProvider, link)
            }
            if linked != provider.count || previous != provider.newest {
                return "provider store: the records of a provider are miscounted"
            }
            reached += linked
        }
        if reached != count { return "provider store: a record has no provider" }
        if ofKey.values.contains(where: { $0.count > configuration.maximumPerKey }) {
            return "provider store: too many records of a key"
        }
        return freeProviders.allSatisfy { providers[Int($0)].count == 0 }
            ? nil : "provider store: a slot in use is free"
    }
}
