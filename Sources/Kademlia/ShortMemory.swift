import Time

/// A bounded set whose elements are forgotten after a fixed time; when it is full, the oldest gives way.
struct ShortMemory<Element: Hashable & Sendable>: Sendable {
    let lifetime: Duration
    let limit: Int
    private var expiries: [Element: MonotonicTime] = [:]
    /// In order of expiry, as all live equally long. Elements that were removed or put in anew leave stale places.
    private var order: [(element: Element, expiry: MonotonicTime)] = []
    private var firstOfOrder = 0

    init(lifetime: Duration, limit: Int) {
        self.lifetime = lifetime
        self.limit = max(1, limit)
    }

    /// How many elements are remembered, with those whose time has passed since the last insertion.
    var count: Int { expiries.count }

    mutating func insert(_ element: Element, now: MonotonicTime) {
        forgetExpired(now: now)
        let expiry = now + lifetime
        // Once more at the same time: its place is there.
        guard expiries[element] != expiry else { return }
        if expiries.updateValue(expiry, forKey: element) == nil {
            while expiries.count > limit { forgetOldest() }
        }
        order.append((element, expiry))
        // Stale places are at most as many as there is room for elements.
        while order.count - firstOfOrder > 2 * limit { forgetOldest() }
    }

    func contains(_ element: Element, now: MonotonicTime) -> Bool {
        guard !expiries.isEmpty, let expiry = expiries[element] else { return false }
        return expiry > now
    }

    /// - Returns: whether it was remembered.
    @discardableResult
    mutating func remove(_ element: Element) -> Bool {
        guard !expiries.isEmpty, expiries.removeValue(forKey: element) != nil else { return false }
        if expiries.isEmpty { reset() }
        return true
    }

    private mutating func forgetExpired(now: MonotonicTime) {
        while firstOfOrder < order.count, order[firstOfOrder].expiry <= now { forgetOldest() }
    }

    private mutating func forgetOldest() {
        guard firstOfOrder < order.count else { return reset() }
        let oldest = order[firstOfOrder]
        firstOfOrder += 1
        if expiries[oldest.element] == oldest.expiry { expiries[oldest.element] = nil }
        if firstOfOrder == order.count {
            reset()
        } else if firstOfOrder > 64, firstOfOrder > order.count / 2 {
            order.removeFirst(firstOfOrder)
            firstOfOrder = 0
        }
    }

    private mutating func reset() {
        expiries = [:]
        order = []
        firstOfOrder = 0
    }
}
