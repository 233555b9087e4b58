/// Changes that wait to be taken, each once, in the order in which they came; too many become one
/// ``StoreChange/unknown``.
struct ChangeQueue: Sendable {
    private var changes: [StoreChange] = []
    private var taken = 0
    private var known: Set<StoreChange> = []
    private let limit: Int

    /// Makes an empty queue.
    ///
    /// - Parameter limit: the most changes that wait.
    init(limit: Int = 4096) {
        self.limit = limit
    }

    /// How many changes wait.
    var count: Int { changes.count - taken }

    /// Adds a change, unless it waits already.
    mutating func append(_ change: StoreChange) {
        guard !known.contains(.unknown), !known.contains(change) else { return }
        if change == .unknown || count >= limit {
            // Whoever reads everything again needs to know nothing else.
            self = ChangeQueue(limit: limit)
            changes = [.unknown]
            known = [.unknown]
        } else {
            changes.append(change)
            known.insert(change)
        }
    }

    /// Takes the change that has waited longest.
    mutating func popFirst() -> StoreChange? {
        guard taken < changes.count else { return nil }
        let change = changes[taken]
        known.remove(change)
        taken += 1
        // Not at each turn, since it moves all that wait.
        if taken == changes.count || taken >= 1024 {
            changes.removeFirst(taken)
            taken = 0
        }
        return change
    }
}
