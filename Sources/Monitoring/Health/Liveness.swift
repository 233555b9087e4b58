public import Time

/// The heartbeats of the parts of a process. A part without a heartbeat within its deadline is stalled.
///
/// A value without a clock: the time is passed in. Its clock stops while the machine sleeps.
public struct Liveness: Sendable {
    /// A part whose last heartbeat is too long ago.
    public struct Stall: Hashable, Sendable {
        /// The name of the part.
        public var part: String
        /// The time since the last heartbeat.
        public var duration: Duration
    }

    private struct Part {
        var deadline: Duration
        var last: MonotonicTime
    }

    private var parts: [String: Part] = [:]

    /// Without parts.
    public init() {}

    /// Starts to watch a part.
    public mutating func watch(_ part: String, deadline: Duration, now: MonotonicTime) {
        parts[part] = Part(deadline: deadline, last: now)
    }

    /// Ends the watch of a part that has ended.
    public mutating func forget(_ part: String) {
        parts[part] = nil
    }

    /// Records a heartbeat. Heartbeats out of order and of parts that are not watched are ignored.
    public mutating func beat(_ part: String, at time: MonotonicTime) {
        guard let known = parts[part], known.last < time else { return }
        parts[part]?.last = time
    }

    /// The stalled parts, by name.
    public func stalls(now: MonotonicTime) -> [Stall] {
        parts.compactMap { name, part in
            let duration = now - part.last
            return duration > part.deadline ? Stall(part: name, duration: duration) : nil
        }
        .sorted { $0.part < $1.part }
    }
}
