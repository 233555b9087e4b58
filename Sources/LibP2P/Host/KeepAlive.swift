import Time

/// The detection of dead and idle connections: a pure value, with time passed in.
///
/// Each tick returns the time of the next. A connection that received bytes since the last tick is alive. A silent one
/// is pinged, and is dead when nothing arrives within the time-out. One without streams ends after the idle time-out.
struct KeepAlive {
    /// The result of a tick.
    enum Action: Equatable {
        /// Tick again after this time.
        case wait(Duration)
        /// Send a ping, and tick again after this time.
        case ping(Duration)
        /// Close the connection: it is idle.
        case closeIdle
        /// Close the connection: the peer is dead.
        case closeDead
    }

    /// The interval between two checks of a live connection.
    let interval: Duration
    /// The deadline of the answer to a ping.
    let timeout: Duration
    /// How long a connection without streams is kept.
    let idleTimeout: Duration

    private var hasReceived = false
    private var idleSince: MonotonicTime?
    /// The deadline of the awaited answer.
    private var deadline: MonotonicTime?
    private var ping: (value: UInt32, sent: MonotonicTime)?

    init(interval: Duration, timeout: Duration, idleTimeout: Duration) {
        self.interval = interval
        self.timeout = timeout
        self.idleTimeout = idleTimeout
    }

    /// Records received bytes.
    mutating func received() { hasReceived = true }

    /// Records that a stream is open.
    mutating func used() { idleSince = nil }

    mutating func tick(now: MonotonicTime, isUnused: Bool) -> Action {
        if isUnused {
            let since = idleSince ?? now
            idleSince = since
            if now - since >= idleTimeout { return .closeIdle }
        } else {
            idleSince = nil
        }
        if hasReceived {
            hasReceived = false
            deadline = nil
            return .wait(interval)
        }
        if let deadline {
            return now < deadline ? .wait(min(interval, deadline - now)) : .closeDead
        }
        deadline = now + timeout
        return .ping(min(interval, timeout))
    }

    /// Records a sent ping.
    mutating func pinged(_ value: UInt32, now: MonotonicTime) {
        ping = (value, now)
    }

    /// Records an answer. Returns the round-trip time if it belongs to the last ping.
    mutating func ponged(_ value: UInt32, now: MonotonicTime) -> Duration? {
        guard let (expected, sent) = ping, value == expected else { return nil }
        ping = nil
        return now - sent
    }
}
