import OCI

/// A bounded queue of changes to a store.
///
/// A change that repeats the last waiting one for the same image or content is dropped. At the limit, all changes
/// collapse into ``StoreChange/unknown``, which makes the reader read everything again. It also covers all changes
/// until the reader takes it. One deletion stays in front of it, because content may disappear some time after the
/// deletion of its image, without a change of its own.
package struct ChangeQueue: Sendable {
    /// The image or content that a change is about.
    private enum Subject: Hashable {
        case image(String)
        case content(Digest)
    }

    /// The maximum number of waiting changes.
    package let limit: Int

    private var waiting: [StoreChange] = []
    /// The number of changes at the front of `waiting` that were taken.
    private var taken = 0
    /// The last waiting change of each subject.
    private var last: [Subject: StoreChange] = [:]

    /// Creates an empty queue for at most `limit` changes; the limit is at least 2.
    package init(limit: Int = 4096) {
        self.limit = max(2, limit)
    }

    /// The number of waiting changes.
    package var count: Int { waiting.count - taken }

    /// Appends a change.
    package mutating func append(_ change: StoreChange) {
        if count > 0, waiting.last == .unknown {
            if count == 1, change.isDeletion { waiting.insert(change, at: taken) }
            return
        }
        guard change != .unknown, count < limit else {
            collapse(with: change)
            return
        }
        if let subject = Self.subject(of: change) {
            if last[subject] == change { return }
            last[subject] = change
        }
        waiting.append(change)
    }

    /// Takes the oldest waiting change.
    package mutating func popFirst() -> StoreChange? {
        guard taken < waiting.count else { return nil }
        let change = waiting[taken]
        taken += 1
        if let subject = Self.subject(of: change), last[subject] == change {
            last[subject] = nil
        }
        if taken == waiting.count {
            waiting.removeAll()
            taken = 0
        } else if taken >= limit {
            waiting.removeFirst(taken)
            taken = 0
        }
        return change
    }

    private mutating func collapse(with change: StoreChange) {
        let deletion = change.isDeletion ? change : waiting[taken...].last(where: \.isDeletion)
        waiting = (deletion.map { [$0] } ?? []) + [.unknown]
        taken = 0
        last.removeAll()
    }

    private static func subject(of change: StoreChange) -> Subject? {
        switch change {
        case .imageUpdated(let name), .imageDeleted(let name): .image(name)
        case .contentAdded(let digest), .contentRemoved(let digest): .content(digest)
        case .unknown: nil
        }
    }
}
