import OCI

/// The changes that wait to be taken, in order, never more than a limit.
///
/// A change that says the same as the last one waiting for the same image or content is dropped. When there are too
/// many, all of them collapse into ``StoreChange/unknown``, which then stands for all that follow until
/// it is taken: whoever takes it reads everything again, and so sees their effects. Of the deletions among them one is
/// kept, ahead of it, since content may go some time after an image was deleted, of which nobody tells.
package struct ChangeQueue: Sendable {
    /// What a change is about.
    private enum Subject: Hashable {
        case image(String)
        case content(Digest)
    }

    /// How many changes may wait.
    package let limit: Int

    private var waiting: [StoreChange] = []
    /// How many of the first in `waiting` have been taken.
    private var taken = 0
    /// The last change that waits, by what it is about.
    private var last: [Subject: StoreChange] = [:]

    /// Makes an empty queue for at most `limit` changes; the limit is at least 2.
    package init(limit: Int = 4096) {
        self.limit = max(2, limit)
    }

    /// How many changes wait.
    package var count: Int { waiting.count - taken }

    /// Adds a change.
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

    /// Takes the change that has waited longest.
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
        case .contentAdded(let digest): .content(digest)
        case .unknown: nil
        }
    }
}
