import Time

/// The records of a ``ProviderStore``: a hash table by position, chained through the records themselves, and a timing
/// wheel for their expiry.
///
/// A dictionary of arrays would take several times the memory: an allocation for each key, and spare capacity in each.
struct RecordTable: Sendable {
    /// The end of a list.
    static let none = UInt32.max

    struct Record: Sendable {
        fileprivate(set) var position: KeySpacePosition
        fileprivate(set) var expiry: MonotonicTime
        /// The provider's slot in the store.
        fileprivate(set) var provider: UInt32
        fileprivate var nextInChain = RecordTable.none
        fileprivate var previousInSlot = RecordTable.none
        fileprivate var nextInSlot = RecordTable.none
        /// Links of the list of one provider's records, which the store maintains.
        var previousOfProvider = RecordTable.none
        var nextOfProvider = RecordTable.none
    }

    private var records: [Record] = []
    /// Heads of the chains: a power of two, at least as many as records.
    private var chains: [UInt32] = [RecordTable.none]
    /// Free records, linked through `nextInChain`.
    private var firstFree = RecordTable.none
    private var used = 0
    private var wheel: [UInt32] = []
    /// The earliest tick of the wheel that may still have expired records.
    private var nextTick: Int64 = 0

    subscript(record: UInt32) -> Record {
        get { records[Int(record)] }
        _modify { yield &records[Int(record)] }
    }

    /// The record of a provider at a position, and the number of records at the position.
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
            // Grows by an eighth instead of doubling, which would leave up to half of a large store unused.
            if records.count == records.capacity { records.reserveCapacity(records.count + records.count / 8 + 16) }
            index = UInt32(truncatingIfNeeded: records.count)
            records.append(record)
        }
        used += 1
        linkToChain(index)
        linkToWheel(index, expiry: expiry)
        return index
    }

    mutating func renew(_ record: UInt32, expiry: MonotonicTime) {
        unlinkFromWheel(record)
        linkToWheel(record, expiry: expiry)
    }

    mutating func remove(_ record: UInt32) {
        unlinkFromWheel(record)
        unlinkFromChain(record)
        records[Int(record)].nextInChain = firstFree
        firstFree = record
        used -= 1
        // An empty table releases its memory.
        if used == 0 {
            let tick = nextTick
            self = RecordTable()
            nextTick = tick
        }
    }

    // MARK: - Chains

    private func chain(of position: KeySpacePosition) -> Int {
        // The process's own hash seed, so that an attacker cannot choose keys of one chain.
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

    /// Doubles the chains. Called only when no record is free, so that all are in use.
    private mutating func doubleChains() {
        chains = [UInt32](repeating: Self.none, count: chains.count * 2)
        for index in records.indices { linkToChain(UInt32(truncatingIfNeeded: index)) }
    }

    // MARK: - Order of expiry

    /// The number of wheel slots. Each is the list of records that expire within one tick; created with the first
    /// record.
    private static let slotCount = 256

    /// A tick of about 17 s, so that a turn of the wheel takes 73 min. Records with a longer lifetime are visited
    /// early.
    private static func tick(of time: MonotonicTime) -> Int64 { time.nanoseconds >> 34 }

    private static func slot(of tick: Int64) -> Int { Int(tick & Int64(slotCount - 1)) }

    /// The next time when records may have expired; `nil` without records.
    var nextExpiry: MonotonicTime? {
        guard used > 0 else { return nil }
        return MonotonicTime(nanoseconds: (max(nextTick, 0) + 1) << 34)
    }

    /// At most `limit` expired records, in order of time up to the wheel's precision. The caller must remove them.
    mutating func expired(now: MonotonicTime, limit: Int) -> [UInt32] {
        guard used > 0 else { return [] }
        let current = Self.tick(of: now)
        nextTick = max(nextTick, current - Int64(Self.slotCount) + 1)
        var found: [UInt32] = []
        while nextTick <= current, found.count < limit {
            var link = wheel[Self.slot(of: nextTick)]
            while link != Self.none, found.count < limit {
                if records[Int(link)].expiry <= now { found.append(link) }
                link = records[Int(link)].nextInSlot
            }
            // A slot is complete only when its whole time has passed and all its records were visited.
            guard nextTick < current, link == Self.none else { break }
            nextTick += 1
        }
        return found
    }

    private mutating func linkToWheel(_ index: UInt32, expiry: MonotonicTime) {
        if wheel.isEmpty { wheel = [UInt32](repeating: Self.none, count: Self.slotCount) }
        let slot = Self.slot(of: Self.tick(of: expiry))
        let next = wheel[slot]
        records[Int(index)].expiry = expiry
        records[Int(index)].previousInSlot = Self.none
        records[Int(index)].nextInSlot = next
        if next != Self.none { records[Int(next)].previousInSlot = index }
        wheel[slot] = index
    }

    private mutating func unlinkFromWheel(_ index: UInt32) {
        let (previous, next) = (records[Int(index)].previousInSlot, records[Int(index)].nextInSlot)
        if previous == Self.none {
            wheel[Self.slot(of: Self.tick(of: records[Int(index)].expiry))] = next
        } else {
            records[Int(previous)].nextInSlot = next
        }
        if next != Self.none { records[Int(next)].previousInSlot = previous }
    }

    // MARK: - Invariants

    /// Checks that each record in use is in its chain and in its slot of the wheel, and that every other one is free.
    ///
    /// - Returns: what does not hold; `nil` if all does. Takes linear time.
    func checkInvariants() -> String? {
        if chains.count & (chains.count - 1) != 0 || chains.count < used { return "record table: too few chains" }
        var chained: Set<UInt32> = []
        for (index, head) in chains.enumerated() {
            var link = head
            while link != Self.none {
                guard chained.insert(link).inserted else { return "record table: a record is in two chains" }
                if chain(of: self[link].position) != index { return "record table: a record is in a foreign chain" }
                link = self[link].nextInChain
            }
        }
        if chained.count != used { return "record table: records are miscounted" }
        var turning: Set<UInt32> = []
        for (slot, head) in wheel.enumerated() {
            var (link, previous) = (head, Self.none)
            while link != Self.none {
                guard turning.insert(link).inserted else { return "record table: a record is in two slots" }
                if self[link].previousInSlot != previous { return "record table: a slot's links disagree" }
                if Self.slot(of: Self.tick(of: self[link].expiry)) != slot {
                    return "record table: a record is in a foreign slot"
                }
                (link, previous) = (self[link].nextInSlot, link)
            }
        }
        if turning != chained { return "record table: a record never expires" }
        var (free, link) = (0, firstFree)
        while link != Self.none {
            if chained.contains(link) { return "record table: a record in use is free" }
            free += 1
            if free > records.count { return "record table: the free list has a cycle" }
            link = self[link].nextInChain
        }
        return free + used == records.count ? nil : "record table: a free record is lost"
    }

    /// The number of records in use.
    var count: Int { used }

    /// How many places ``checkInvariants()`` visits.
    var checkedPlaces: Int { chains.count + wheel.count + records.count }
}
