import NIOCore

/// A bounded set whose elements each have an end; when it is full, the one that ends first gives way.
struct ExpiringSet<Element: Hashable & Sendable>: Sendable {
    let limit: Int
    private var ends: [Element: NIODeadline] = [:]

    init(limit: Int) {
        self.limit = max(1, limit)
    }

    /// How many elements there are, those that have ended included until they are met.
    var count: Int { ends.count }

    mutating func insert(_ element: Element, until end: NIODeadline, now: NIODeadline) {
        if ends.count >= limit, ends[element] == nil {
            ends = ends.filter { $0.value > now }
            if ends.count >= limit, let first = ends.min(by: { $0.value < $1.value }) { ends[first.key] = nil }
        }
        ends[element] = end
    }

    mutating func contains(_ element: Element, now: NIODeadline) -> Bool {
        guard !ends.isEmpty, let end = ends[element] else { return false }
        guard end <= now else { return true }
        ends[element] = nil
        return false
    }

    mutating func remove(_ element: Element) {
        ends[element] = nil
    }
}
