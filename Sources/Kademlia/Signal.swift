/// Wakes one waiting loop. Signals that come while it works are remembered as one.
struct Signal: Sendable {
    /// What the loop iterates; it ends when the loop's task is cancelled.
    let wakeups: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation

    init() {
        (wakeups, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    func send() {
        continuation.yield()
    }
}
