/// Whether the parts of a process still move: each tells now and again that it does, and one that has not for longer
/// than its deadline is stuck.
///
/// A value without a clock: whoever holds it says what time it is.
public struct Liveness: Sendable {
    /// A point in time of a clock that stands still while the machine sleeps.
    public typealias Instant = SuspendingClock.Instant

    /// A part that has not moved for too long.
    public struct Stall: Hashable, Sendable {
        /// Its name.
        public var part: String
        /// For how long it has not moved.
        public var duration: Duration
    }

    private struct Part {
        var deadline: Duration
        var last: Instant
    }

    private var parts: [String: Part] = [:]

    /// Watches nothing yet.
    public init() {}

    /// Watches a part from now on.
    public mutating func watch(_ part: String, deadline: Duration, now: Instant) {
        parts[part] = Part(deadline: deadline, last: now)
    }

    /// Watches a part no longer, since it has ended as it should.
    public mutating func forget(_ part: String) {
        parts[part] = nil
    }

    /// A part has moved. What comes out of order changes nothing, and neither does a part that is not watched.
    public mutating func beat(_ part: String, at time: Instant) {
        guard let known = parts[part], known.last < time else { return }
        parts[part]?.last = time
    }

    /// The parts that are stuck, by name.
    public func stalls(now: Instant) -> [Stall] {
        parts.compactMap { name, part in
            let duration = part.last.duration(to: now)
            return duration > part.deadline ? Stall(part: name, duration: duration) : nil
        }
        .sorted { $0.part < $1.part }
    }
}
