import Time

/// When a hedged request is sent: to another peer, beside those that are slow to their first byte.
///
/// If no attempt has sent a byte of its body `delay` after it was asked, another peer is asked beside it; after twice the
/// delay a third one, and so on, with at most ``Attempts/maximum`` in flight and `limit` hedged requests a transfer. The
/// caller sets the delay from the times that peers usually take. The first attempt that sends a byte wins, and the others
/// are cancelled. An attempt that times out is replaced at once. An attempt that waits for a permit is not hedged: the
/// wait is this node's own. Under load the caller sets `limit` to 0, since hedged requests would only add to it.
struct Hedging {
    private let limit: Int
    private let delay: Duration
    /// How many hedged requests were sent.
    private(set) var count = 0

    init(limit: Int, delay: Duration) {
        self.limit = limit
        self.delay = delay
    }

    /// When the next hedged request is due, once the attempt that is the `position`th in flight starts now.
    func next(afterAttempt position: Int, now: MonotonicTime) -> MonotonicTime {
        now + delay * position
    }

    /// When the next hedged request is due; `nil` if none may be sent.
    func due(beside attempts: Attempts) -> MonotonicTime? {
        guard count < limit, attempts.winner == nil, attempts.running.count < Attempts.maximum else { return nil }
        return attempts.running.last?.hedgeAt
    }

    /// A hedged request is sent.
    mutating func spend() {
        count += 1
    }
}
