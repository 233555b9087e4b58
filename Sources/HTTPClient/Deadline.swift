import NIOCore
import Time

/// The time until which a request or a stage of it may last, and the error that ends it.
struct Deadline: Sendable {
    let time: MonotonicTime
    let error: HTTPClientError

    /// - Parameter duration: The time from now on.
    init(_ duration: Duration, _ error: HTTPClientError) {
        time = MonotonicTime.now + duration
        self.error = error
    }

    /// This deadline, or the one of the whole request if that comes first.
    func within(_ whole: Deadline?) -> Deadline {
        guard let whole, whole.time < time else { return self }
        return whole
    }

    var hasPassed: Bool { MonotonicTime.now >= time }

    /// The time that is left, at least a millisecond.
    var remaining: TimeAmount { TimeAmount(max(time - MonotonicTime.now, .milliseconds(1))) }
}
