import NIOCore

/// Sees to it that a dead or unused connection ends: a pure value, to which the time is told.
///
/// Ticks come when the previous one says. A connection on which something came in since the last tick lives; one that
/// is silent is asked by a ping, and given up when nothing comes in within the time-out. One without streams is ended
/// after the idle time-out.
struct KeepAlive {
    /// What follows from a tick.
    enum Action: Equatable {
        /// Tick again after this time.
        case wait(TimeAmount)
        /// Send a ping, and tick again after this time.
        case ping(TimeAmount)
        /// Close the connection: nobody used it.
        case closeIdle
        /// Close the connection: the peer is dead.
        case closeDead
    }

    /// The time between two looks at a connection that lives.
    let interval: TimeAmount
    /// The time for the answer to a ping.
    let timeout: TimeAmount
    /// How long a connection without streams is kept.
    let idleTimeout: TimeAmount

    private var hasReceived = false
    private var idleSince: NIODeadline?
    /// When the peer must have answered, while it has not.
    private var deadline: NIODeadline?
    private var ping: (value: UInt32, sent: NIODeadline)?

    init(interval: TimeAmount, timeout: TimeAmount, idleTimeout: TimeAmount) {
        self.interval = interval
        self.timeout = timeout
        self.idleTimeout = idleTimeout
    }

    /// Something came in.
    mutating func received() { hasReceived = true }

    /// A stream is used.
    mutating func used() { idleSince = nil }

    mutating func tick(now: NIODeadline, isUnused: Bool) -> Action {
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

    /// A ping goes out.
    mutating func pinged(_ value: UInt32, now: NIODeadline) {
        ping = (value, now)
    }

    /// An answer came; gives the round trip if it is the answer to the last ping.
    mutating func ponged(_ value: UInt32, now: NIODeadline) -> TimeAmount? {
        guard let (expected, sent) = ping, value == expected else { return nil }
        ping = nil
        return now - sent
    }
}
