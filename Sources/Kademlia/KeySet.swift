/// A set of keys sorted by position: 64 bytes each, found by binary search. The keys of a region are adjacent.
struct KeySet: Sendable {
    private(set) var keys: [Key] = []

    var count: Int { keys.count }
    var isEmpty: Bool { keys.isEmpty }

    func contains(_ key: Key) -> Bool {
        let index = firstIndex(notBefore: key.position)
        return index < keys.count && keys[index] == key
    }

    /// The index of the first key at or after `position`.
    func firstIndex(notBefore position: KeySpacePosition) -> Int {
        var (low, high) = (0, keys.count)
        while low < high {
            let middle = (low + high) / 2
            if keys[middle].position < position { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The indices of a region's keys.
    func range(of region: KeyRegion) -> Range<Int> {
        let low = firstIndex(notBefore: region.first)
        var (start, end) = (low, keys.count)
        let last = region.last
        while start < end {
            let middle = (start + end) / 2
            if keys[middle].position <= last { start = middle + 1 } else { end = middle }
        }
        return low..<start
    }

    /// Inserts keys, in time linear in all keys. For a single key only the bytes after it move.
    ///
    /// - Returns: the new keys, sorted.
    @discardableResult
    mutating func insert(_ new: some Sequence<Key>) -> [Key] {
        let sorted = new.sorted { $0.position < $1.position }
        if sorted.count == 1, let key = sorted.first {
            let index = firstIndex(notBefore: key.position)
            guard index == keys.count || keys[index] != key else { return [] }
            keys.insert(key, at: index)
            return sorted
        }
        guard !sorted.isEmpty else { return [] }
        var merged: [Key] = []
        merged.reserveCapacity(keys.count + sorted.count)
        var added: [Key] = []
        var index = 0
        for key in sorted where added.last != key {
            while index < keys.count, keys[index].position < key.position {
                merged.append(keys[index])
                index += 1
            }
            if index < keys.count, keys[index] == key { continue }
            merged.append(key)
            added.append(key)
        }
        merged += keys[index...]
        keys = merged
        return added
    }

    /// Removes keys.
    ///
    /// - Returns: the removed keys, sorted.
    @discardableResult
    mutating func remove(_ gone: some Sequence<Key>) -> [Key] {
        let sorted = gone.sorted { $0.position < $1.position }
        if sorted.count == 1, let key = sorted.first {
            let index = firstIndex(notBefore: key.position)
            guard index < keys.count, keys[index] == key else { return [] }
            keys.remove(at: index)
            return sorted
        }
        guard !sorted.isEmpty, !keys.isEmpty else { return [] }
        var removed: [Key] = []
        var kept = 0
        var next = 0
        for index in keys.indices {
            while next < sorted.count, sorted[next].position < keys[index].position { next += 1 }
            if next < sorted.count, sorted[next] == keys[index] {
                removed.append(keys[index])
            } else {
                keys[kept] = keys[index]
                kept += 1
            }
        }
        keys.removeLast(keys.count - kept)
        return removed
    }

    /// Removes the keys at these indices.
    mutating func removeSubrange(_ range: Range<Int>) {
        keys.removeSubrange(range)
        if keys.isEmpty { keys = [] }
    }

    mutating func removeAll() { keys = [] }

    /// Checks the order of the keys.
    ///
    /// - Returns: what does not hold; `nil` if all does. Takes linear time.
    func checkInvariants() -> String? {
        zip(keys, keys.dropFirst()).allSatisfy { $0.position < $1.position } ? nil : "key set: keys out of order"
    }

    /// Whether all keys are among others, which are sorted in the same way.
    func isSubset(of others: KeySet) -> Bool {
        var index = 0
        return keys.allSatisfy { key in
            while index < others.count, others.keys[index].position < key.position { index += 1 }
            return index < others.count && others.keys[index] == key
        }
    }

    /// Whether no key is among others.
    func isDisjoint(with others: KeySet) -> Bool {
        count <= others.count ? !keys.contains { others.contains($0) } : others.isDisjoint(with: self)
    }
}

/// All positions with a common prefix: a subtree of the key space.
struct KeyRegion: Hashable, Sendable {
    /// The length of the common prefix in bits, 0 to 256.
    let prefixLength: Int
    /// The first and the last position of the region.
    let first: KeySpacePosition
    let last: KeySpacePosition

    /// The region of the positions that share `prefixLength` bits with `position`.
    init(around position: KeySpacePosition, prefixLength: Int) {
        let length = min(max(prefixLength, 0), 256)
        self.prefixLength = length
        let mask = KeySpaceWords(ones: length)
        first = KeySpacePosition(words: position.words & mask)
        last = KeySpacePosition(words: position.words | ~mask)
    }

    func contains(_ position: KeySpacePosition) -> Bool {
        first <= position && position <= last
    }
}

extension KeySpaceWords {
    /// A number of one bits, then zeros.
    init(ones: Int) {
        func word(_ index: Int) -> UInt64 {
            // Shifts saturate: by 64 or more they give zero, by less than zero they go the other way.
            let count = min(max(ones - 64 * index, 0), 64)
            return ~UInt64(0) << UInt64(64 - count)
        }
        self.init(word(0), word(1), word(2), word(3))
    }

    static func & (left: Self, right: Self) -> Self {
        Self(left.first & right.first, left.second & right.second, left.third & right.third, left.fourth & right.fourth)
    }

    static func | (left: Self, right: Self) -> Self {
        Self(left.first | right.first, left.second | right.second, left.third | right.third, left.fourth | right.fourth)
    }

    static prefix func ~ (words: Self) -> Self {
        Self(~words.first, ~words.second, ~words.third, ~words.fourth)
    }
}
