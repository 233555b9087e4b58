/// A map of limited size whose entries each end at a time of their own: the one memory that forgets.
///
/// An entry that has ended is never returned. When the map is full, the entry that ends first gives way, so those that
/// have ended go before all others. Nothing is kept of an entry that is gone. Looking up takes constant time; a change
/// takes at most logarithmic time, for each entry once more when it is forgotten.
///
/// It is `public`, and its code can be inlined, so that each module that uses it specialises it for its own types:
/// without that a lookup costs several times as much. The compiler does not do so for what is `package`.
public struct ExpiringMap<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    @usableFromInline
    struct Entry: Sendable {
        @usableFromInline var value: Value
        @usableFromInline var end: MonotonicTime
        @usableFromInline var slot: Int

        @inlinable
        init(value: Value, end: MonotonicTime, slot: Int) {
            self.value = value
            self.end = end
            self.slot = slot
        }
    }

    /// An entry's place in the order of ends.
    @usableFromInline
    struct Place: Sendable {
        @usableFromInline var end: MonotonicTime
        @usableFromInline var slot: Int

        @inlinable
        init(end: MonotonicTime, slot: Int) {
            self.end = end
            self.slot = slot
        }
    }

    /// The most entries that are kept.
    public let limit: Int
    @usableFromInline var entries: [Key: Entry] = [:]
    /// A binary heap: the entry that ends first stands first.
    @usableFromInline var order: [Place] = []
    /// The key of each slot; a slot names an entry in `order`. A free one has none.
    @usableFromInline var keysBySlot: [Key?] = []
    /// The index in `order` of each slot that is in use.
    @usableFromInline var places: [Int] = []
    @usableFromInline var freeSlots: [Int] = []

    /// An empty map.
    ///
    /// - Parameter limit: the most entries that are kept; at least one is.
    @inlinable
    public init(limit: Int) {
        self.limit = max(1, limit)
    }

    /// How many entries there are, with those that have ended since the last insertion.
    @inlinable public var count: Int { entries.count }

    /// Whether there are none.
    @inlinable public var isEmpty: Bool { entries.isEmpty }

    /// The keys in no order, with those that have ended since the last insertion.
    @inlinable public var keys: some Collection<Key> { entries.keys }

    /// The value of a key that has not ended.
    @inlinable
    public func value(of key: Key, now: MonotonicTime) -> Value? {
        guard !entries.isEmpty, let entry = entries[key], entry.end > now else { return nil }
        return entry.value
    }

    /// Whether there is an entry that has not ended.
    @inlinable
    public func contains(_ key: Key, now: MonotonicTime) -> Bool {
        guard !entries.isEmpty, let end = entries[key]?.end else { return false }
        return end > now
    }

    /// Sets the value of a key, which ends after `lifetime` whenever it was to end before.
    @inlinable
    public mutating func insert(_ value: Value, for key: Key, lifetime: Duration, now: MonotonicTime) {
        removeExpired(now: now)
        let end = now + lifetime
        guard end > now else {
            remove(key)
            return
        }
        if let index = entries.index(forKey: key) {
            let slot = entries.values[index].slot
            entries.values[index] = Entry(value: value, end: end, slot: slot)
            restoreOrder(of: Place(end: end, slot: slot), at: places[slot])
        } else {
            if entries.count >= limit { removeFirst() }
            let slot = takeSlot(for: key)
            entries[key] = Entry(value: value, end: end, slot: slot)
            let place = Place(end: end, slot: slot)
            order.append(place)
            restoreOrder(of: place, at: order.count - 1)
        }
        assert(isConsistent)
    }

    /// Changes the value of a key that has not ended. Its end stays.
    @inlinable
    public mutating func update(_ key: Key, to value: Value, now: MonotonicTime) {
        guard let index = entries.index(forKey: key), entries.values[index].end > now else { return }
        entries.values[index].value = value
    }

    /// Removes an entry.
    ///
    /// - Returns: its value, even if it has ended since the last insertion.
    @inlinable
    @discardableResult
    public mutating func remove(_ key: Key) -> Value? {
        guard !entries.isEmpty, let entry = entries.removeValue(forKey: key) else { return nil }
        free(entry.slot)
        assert(isConsistent)
        return entry.value
    }

    /// Removes the entries that have ended. An insertion does so by itself.
    @inlinable
    public mutating func removeExpired(now: MonotonicTime) {
        while let first = order.first, first.end <= now { removeFirst() }
    }

    @inlinable
    mutating func removeFirst() {
        guard let slot = order.first?.slot else { return }
        if let key = keysBySlot[slot] { entries[key] = nil }
        free(slot)
    }

    @inlinable
    mutating func takeSlot(for key: Key) -> Int {
        if let slot = freeSlots.popLast() {
            keysBySlot[slot] = key
            return slot
        }
        keysBySlot.append(key)
        places.append(0)
        return places.count - 1
    }

    /// Gives back the slot of an entry that is gone.
    @inlinable
    mutating func free(_ slot: Int) {
        guard !entries.isEmpty else {
            // A small map is filled again soon; what a large one took is given back.
            let isSmall = places.count <= 64
            entries.removeAll(keepingCapacity: isSmall)
            order.removeAll(keepingCapacity: isSmall)
            keysBySlot.removeAll(keepingCapacity: isSmall)
            places.removeAll(keepingCapacity: isSmall)
            freeSlots.removeAll(keepingCapacity: isSmall)
            return
        }
        keysBySlot[slot] = nil
        freeSlots.append(slot)
        let index = places[slot]
        guard let last = order.popLast(), index < order.count else { return }
        restoreOrder(of: last, at: index)
    }

    /// Puts an entry to where it belongs in the order, from an index whose own entry has ended, moved or is this one.
    @inlinable
    mutating func restoreOrder(of place: Place, at start: Int) {
        var index = start
        while index > 0 {
            let parent = (index - 1) / 2
            guard place.end < order[parent].end else { break }
            put(order[parent], at: index)
            index = parent
        }
        while true {
            var child = 2 * index + 1
            guard child < order.count else { break }
            if child + 1 < order.count, order[child + 1].end < order[child].end { child += 1 }
            guard order[child].end < place.end else { break }
            put(order[child], at: index)
            index = child
        }
        put(place, at: index)
    }

    @inlinable
    mutating func put(_ place: Place, at index: Int) {
        order[index] = place
        places[place.slot] = index
    }

    /// What can be checked after each change, in debug builds.
    @usableFromInline var isConsistent: Bool {
        order.count == entries.count && entries.count <= limit && (entries.count > 32 || checkInvariants())
    }

    /// Whether the parts agree with each other. Takes linear time.
    public func checkInvariants() -> Bool {
        guard entries.count <= limit, order.count == entries.count else { return false }
        guard places.count == keysBySlot.count, places.count <= limit else { return false }
        guard places.count == entries.count + freeSlots.count else { return false }
        guard freeSlots.allSatisfy({ keysBySlot[$0] == nil }) else { return false }
        guard Set(freeSlots).count == freeSlots.count else { return false }
        return order.indices.allSatisfy { index in
            let place = order[index]
            guard let key = keysBySlot[place.slot], let entry = entries[key] else { return false }
            return entry.end == place.end && entry.slot == place.slot && places[place.slot] == index
                && order[(index - 1) / 2].end <= place.end
        }
    }
}

/// An ``ExpiringMap`` of which only the keys matter.
public typealias ExpiringSet<Element: Hashable & Sendable> = ExpiringMap<Element, Void>

extension ExpiringMap where Value == Void {
    /// Inserts an element, which ends after `lifetime` whenever it was to end before.
    @inlinable
    public mutating func insert(_ key: Key, lifetime: Duration, now: MonotonicTime) {
        insert((), for: key, lifetime: lifetime, now: now)
    }
}
