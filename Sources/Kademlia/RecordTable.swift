/// The records of a ``ProviderStore``: a hash table by position, chained through the records themselves, and a list in
/// order of expiry.
///
/// A dictionary of arrays would take several times the memory: an allocation for each key, and room for growth in each.
struct RecordTable: Sendable {
    /// The link that leads nowhere.
    static let none = UInt32.max

    struct Record: Sendable {
        fileprivate(set) var position: KeySpacePosition
        fileprivate(set) var expiry: MonotonicTime
        /// The provider's slot in the store.
        fileprivate(set) var provider: UInt32
        fileprivate var nextInChain = RecordTable.none
        fileprivate var previousInAge = RecordTable.none
        fileprivate var nextInAge = RecordTable.none
        /// Links of the list of one provider's records, which the store keeps.
        var previousOfProvider = RecordTable.none
        var nextOfProvider = RecordTable.none
    }

    private var records: [Record] = []
    /// Heads of the chains; a power of two of them, at least as many as records.
    private var chains: [UInt32] = [RecordTable.none]
    /// Free records, linked through `nextInChain`.
    private var firstFree = RecordTable.none
    private var used = 0
    private var oldestRecord = RecordTable.none
    private var newestRecord = RecordTable.none

    subscript(record: UInt32) -> Record {
        get { records[Int(record)] }
        _modify { yield &records[Int(record)] }
    }

    /// The record that expires first.
    var oldest: UInt32? { oldestRecord == Self.none ? nil : oldestRecord }

    /// The record of a provider at a position, and how many records the position has in all.
    func find(_ position: KeySpacePosition, provider: UInt32?) -> (record: UInt32?, ofKey: Int) {
        var found: UInt32?
        var count = 0
        var link = chains[chain(of: position)]
        while link != Self.none {
            let record = records[Int(link)]
            if record.position == position {
                count += 1
                if record.provider == provider { found = link }
            }
            link = record.nextInChain
        }
        return (found, count)
    }

    /// The records at a position, in no particular order.
    func records(of position: KeySpacePosition) -> [Record] {
        var found: [Record] = []
        var link = chains[chain(of: position)]
        while link != Self.none {
            let record = records[Int(link)]
            if record.position == position { found.append(record) }
            link = record.nextInChain
        }
        return found
    }

    mutating func insert(_ position: KeySpacePosition, provider: UInt32, expiry: MonotonicTime) -> UInt32 {
        if used == chains.count { doubleChains() }
        let record = Record(position: position, expiry: expiry, provider: provider)
        let index: UInt32
        if firstFree != Self.none {
            index = firstFree
            firstFree = records[Int(index)].nextInChain
            records[Int(index)] = record
        } else {
            // Grows by an eighth, not by doubling, which would leave up to half of a large store unused.
            if records.count == records.capacity { records.reserveCapacity(records.count + records.count / 8 + 16) }
            index = UInt32(truncatingIfNeeded: records.count)
            records.append(record)
        }
        used += 1
        linkToChain(index)
        linkAsNewest(index, expiry: expiry)
        return index
    }

    mutating func renew(_ record: UInt32, expiry: MonotonicTime) {
        unlinkFromAge(record)
        linkAsNewest(record, expiry: expiry)
    }

    mutating func remove(_ record: UInt32) {
        unlinkFromAge(record)
        unlinkFromChain(record)
        records[Int(record)].nextInChain = firstFree
        firstFree = record
        used -= 1
        // An empty table gives its memory back.
        if used == 0 { self = RecordTable() }
    }

    // MARK: - Chains

    private func chain(of position: KeySpacePosition) -> Int {
        // The process's own hash seed, so that nobody can choose keys that fall into one chain.
        var hasher = Hasher()
        hasher.combine(position.words.first)
        hasher.combine(position.words.second)
        return hasher.finalize() & (chains.count - 1)
    }

    private mutating func linkToChain(_ index: UInt32) {
        let chain = chain(of: records[Int(index)].position)
        records[Int(index)].nextInChain = chains[chain]
        chains[chain] = index
    }

    private mutating func unlinkFromChain(_ index: UInt32) {
        let chain = chain(of: records[Int(index)].position)
        let next = records[Int(index)].nextInChain
        if chains[chain] == index {
            chains[chain] = next
            return
        }
        var link = chains[chain]
        while link != Self.none {
            if records[Int(link)].nextInChain == index {
                records[Int(link)].nextInChain = next
                return
            }
            link = records[Int(link)].nextInChain
        }
    }

    /// Only called when no record is free, so that all are in use.
    private mutating func doubleChains() {
        chains = [UInt32](repeating: Self.none, count: chains.count * 2)
        for index in records.indices { linkToChain(UInt32(truncatingIfNeeded: index)) }
    }

    // MARK: - Order of expiry

    private mutating func linkAsNewest(_ index: UInt32, expiry: MonotonicTime) {
        var expiry = expiry
        if newestRecord == Self.none {
            oldestRecord = index
        } else {
            // All live equally long and time does not go back; if it did, the order must still hold.
            expiry = max(expiry, records[Int(newestRecord)].expiry)
            records[Int(newestRecord)].nextInAge = index
        }
        records[Int(index)].expiry = expiry
        records[Int(index)].previousInAge = newestRecord
        records[Int(index)].nextInAge = Self.none
        newestRecord = index
    }

    private mutating func unlinkFromAge(_ index: UInt32) {
        let (previous, next) = (records[Int(index)].previousInAge, records[Int(index)].nextInAge)
        if previous == Self.none {
            oldestRecord = next
        } else {
            records[Int(previous)].nextInAge = next
        }
        if next == Self.none {
            newestRecord = previous
        } else {
            records[Int(next)].previousInAge = previous
        }
    }
}
