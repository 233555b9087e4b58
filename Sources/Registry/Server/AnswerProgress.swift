import NIOCore

/// How much of an answer's body has left, and since when no more has: a value without a clock.
struct AnswerProgress: Hashable, Sendable {
    /// The bytes that were given to the channel or have gone past it.
    private(set) var sent: Int64 = 0
    /// How many of them had left when it was last looked.
    private(set) var left: Int64 = 0
    /// Since when there were as many.
    private var since: NIODeadline

    init(now: NIODeadline) {
        since = now
    }

    /// The channel takes bytes.
    mutating func add(_ count: Int) {
        sent += Int64(count)
    }

    /// Bytes have gone past the channel, after all that the channel had.
    mutating func addPastChannel(_ count: Int64) {
        sent += count
        left = sent
    }

    /// Looks how much has left.
    ///
    /// - Parameters:
    ///   - waiting: the bytes that wait in the channel, less those that have gone past it and were not added.
    /// - Returns: for how long nothing has left; `nil` when something has since it was last looked.
    mutating func look(waiting: Int64, now: NIODeadline) -> TimeAmount? {
        guard sent - waiting == left else {
            left = sent - waiting
            since = now
            return nil
        }
        return now - since
    }

    /// Time that has passed until now does not count.
    mutating func restart(now: NIODeadline) {
        since = now
    }
}
