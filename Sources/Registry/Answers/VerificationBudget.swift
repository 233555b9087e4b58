import Synchronization

/// The memory that all transfers together may take to hold content back until it was checked.
final class VerificationBudget: Sendable {
    private let limit: Int
    private let held = Atomic(0)

    /// - Parameter limit: in bytes.
    init(limit: Int) {
        self.limit = limit
    }

    /// The bytes that are reserved now.
    var reserved: Int { held.load(ordering: .relaxed) }

    /// Reserves bytes.
    ///
    /// - Returns: `false`, with nothing reserved, when there is no room.
    func reserve(_ count: Int) -> Bool {
        guard count <= limit else { return false }
        let (_, now) = held.wrappingAdd(count, ordering: .relaxed)
        guard now <= limit else {
            release(count)
            return false
        }
        return true
    }

    /// Gives back what was reserved.
    func release(_ count: Int) {
        held.wrappingSubtract(count, ordering: .relaxed)
    }
}
