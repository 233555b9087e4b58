public import Time

/// One node's part in a leader election over a Lease, by the rules of client-go.
///
/// A pure state machine: ``next(at:)`` returns the shell's next step, and ``receive(_:at:random:)`` takes the outcome
/// of a request. All times are from the shell's own clock, which counts suspensions, and are never compared with clocks
/// of other nodes:
///
/// - A node takes over another node's lease only when it was unchanged for its duration *on this node's clock*.
/// - A node leads until the renew deadline after it *began* its last successful renewal. This is shorter than the lease
///   duration. So its leadership ends before another node may take over, unless clocks differ too much in speed.
/// - An update names the version that it changes, so that only one of several succeeds.
public struct LeaderElection: Sendable {
    private enum Phase: Hashable, Sendable {
        case waiting(until: MonotonicTime)
        case ready(Request)
        case requesting(Request, since: MonotonicTime)
        case finished
    }

    /// The identity of this node in the Lease.
    public let identity: String
    private let timing: ElectionTiming
    private var phase: Phase
    /// The last seen state of the Lease, and when it was first seen.
    private var observed: (lease: Lease, since: MonotonicTime)?
    /// When this node stops leading, unless it renews.
    private var leadsUntil: MonotonicTime?
    /// Whether this attempt has already read the Lease again after a conflict.
    private var hasLookedAgain = false
    /// Whether this node may hold the Lease without knowing it: a write had no response.
    private var mayHold = false
    private var isResigning = false
    /// The remaining requests for the resignation.
    private var resigningRequests = 6

    /// The number of failed attempts since the last response.
    public private(set) var failures = 0
    /// When this node's last successful renewal began.
    public private(set) var lastRenewal: MonotonicTime?
    /// The events since the shell last took them.
    private var events: [Event] = []

    /// Joins the election. The first request is due at once.
    public init(identity: String, timing: ElectionTiming, now: MonotonicTime) {
        self.identity = identity
        self.timing = timing
        phase = .waiting(until: now)
    }

    /// Whether this node may act as the leader.
    public func isLeader(at now: MonotonicTime) -> Bool {
        guard let leadsUntil, !isResigning else { return false }
        return now < leadsUntil
    }

    // The optimiser of Swift 6.3.1 crashes when it inlines these three.

    /// The last seen holder of the Lease.
    @inline(never)
    public var holder: String? {
        guard let holder = observed?.lease.record.holder, !holder.isEmpty else { return nil }
        return holder
    }

    /// The last seen number of changes of the holder.
    @inline(never)
    public var transitions: Int32 { observed?.lease.record.transitions ?? 0 }

    /// When the Lease was last seen to change.
    @inline(never)
    public var lastChange: MonotonicTime? { observed?.since }

    /// Takes the events.
    public mutating func takeEvents() -> [Event] {
        defer { events = [] }
        return events
    }

    /// The next step.
    public mutating func next(at now: MonotonicTime) -> Step {
        defer { assertInvariants(at: now) }
        expire(at: now)
        switch phase {
        case .finished:
            return .finished
        case .waiting(let until) where now < until:
            return .wait(until: leadsUntil.map { min($0, until) } ?? until)
        case .waiting:
            hasLookedAgain = false
            guard leadsUntil != nil, let lease = observed?.lease, lease.record.holder == identity else {
                return send(.get, at: now)
            }
            return send(.update(lease, renewal(of: lease)), at: now)
        case .ready(let request):
            return send(request, at: now)
        case .requesting(_, let since):
            // The shell has lost the request, which counts as failed.
            phase = .waiting(until: since + timing.retryPeriod)
            return next(at: now)
        }
    }

    /// Takes the outcome of the last request.
    ///
    /// - Parameter random: A number between 0 and 1, so that nodes do not act in lockstep.
    public mutating func receive(_ outcome: Outcome, at now: MonotonicTime, random: Double) {
        guard case .requesting(let request, let since) = phase else { return }
        defer { assertInvariants(at: now) }
        expire(at: now)
        if outcome != .failed { failures = 0 }
        if isResigning {
            resign(after: request, outcome, at: now)
        } else {
            proceed(after: request, since, outcome, at: now, random: random)
        }
    }

    /// Stops leading at once and begins to release the Lease by way of ``next(at:)``.
    public mutating func resign(at now: MonotonicTime) {
        guard !isResigning else { return }
        if case .requesting(let request, _) = phase, request != .get { mayHold = true }
        let holds = mayHold || leadsUntil != nil
        stopLeading()
        isResigning = true
        phase = holds ? .ready(.get) : .finished
        assertInvariants(at: now)
    }

    // MARK: Invariants

    private func assertInvariants(at now: MonotonicTime) {
        assert(checkInvariants(at: now) == nil, checkInvariants(at: now) ?? "")
    }

    /// Checks what holds after each step.
    ///
    /// - Returns: what does not hold; `nil` if all does.
    func checkInvariants(at now: MonotonicTime) -> String? {
        if let leadsUntil {
            if isResigning { return "a node that resigns leads" }
            // Or another node could take over before this one stops.
            guard let lastRenewal, leadsUntil == lastRenewal + timing.renewDeadline else {
                return "the leadership does not end with the last renewal's deadline"
            }
            if leadsUntil <= now { return "the leadership is over and goes on" }
        }
        switch phase {
        case .waiting(let until):
            if isResigning { return "a node that resigns pauses" }
            if until - now > max(timing.longestRetry, timing.retryPeriod) * 1.2 { return "the pause is too long" }
        case .requesting(_, let since):
            if since > now { return "a request was sent in the future" }
        case .ready: break
        case .finished:
            if !isResigning { return "the election ended without a resignation" }
        }
        if resigningRequests < 0 { return "too many requests to resign" }
        return nil
    }

    // MARK: Outcomes

    private mutating func proceed(
        after request: Request,
        _ since: MonotonicTime,
        _ outcome: Outcome,
        at now: MonotonicTime,
        random: Double
    ) {
        switch (request, outcome) {
        case (.get, .lease(let lease)):
            observe(lease, at: now)
            consider(lease, at: now, random: random)
        case (.get, .absent):
            forget()
            phase = .ready(.create(acquisition(transitions: 0)))
        case (.create, .lease(let lease)), (.update, .lease(let lease)):
            observe(lease, at: now)
            mayHold = false
            phase = .waiting(until: now + timing.retryPeriod)
            lead(since: since, at: now)
        case (.create, .conflict), (.update, .conflict), (.update, .absent), (.create, .absent):
            mayHold = false
            guard hasLookedAgain else {
                // Another node was faster: read its Lease.
                hasLookedAgain = true
                phase = .ready(.get)
                return
            }
            phase = .waiting(until: now + pause(random))
        case (_, .failed), (.get, .conflict):
            if request != .get { mayHold = true }
            failures += 1
            phase = .waiting(until: now + pause(random))
        }
    }

    private mutating func consider(_ lease: Lease, at now: MonotonicTime, random: Double) {
        let record = lease.record
        if record.holder == identity {
            phase = .ready(.update(lease, renewal(of: lease)))
            return
        }
        stopLeading()
        let expiry = (observed?.since ?? now) + (record.duration ?? timing.leaseDuration)
        if record.holder.isEmpty || expiry <= now {
            let (transitions, overflow) = record.transitions.addingReportingOverflow(1)
            phase = .ready(.update(lease, acquisition(transitions: overflow ? record.transitions : transitions)))
        } else {
            phase = .waiting(until: min(now + pause(random), expiry))
        }
    }

    private mutating func resign(after request: Request, _ outcome: Outcome, at now: MonotonicTime) {
        resigningRequests -= 1
        guard resigningRequests > 0 else {
            phase = .finished
            return
        }
        switch (request, outcome) {
        case (.get, .lease(let lease)) where lease.record.holder == identity:
            observe(lease, at: now)
            // Releases like client-go: no holder, with the minimum duration of a Lease.
            let change = LeaseChange(
                holder: "",
                duration: .seconds(1),
                transitions: lease.record.transitions,
                keepsAcquireTime: false
            )
            phase = .ready(.update(lease, change))
        case (.update, .conflict):
            phase = .ready(.get)
        case (.update, .lease(let lease)):
            observe(lease, at: now)
            phase = .finished
        default:
            phase = .finished
        }
    }

    // MARK: State

    private mutating func send(_ request: Request, at now: MonotonicTime) -> Step {
        phase = .requesting(request, since: now)
        let deadline = now + timing.requestTimeout
        return .send(request, deadline: leadsUntil.map { min($0, deadline) } ?? deadline)
    }

    /// Ends the leadership at its end time.
    private mutating func expire(at now: MonotonicTime) {
        if let leadsUntil, now >= leadsUntil { stopLeading() }
    }

    private mutating func lead(since: MonotonicTime, at now: MonotonicTime) {
        lastRenewal = since
        let end = since + timing.renewDeadline
        // Such a late response does not extend the leadership.
        guard now < end else { return }
        if leadsUntil == nil { events.append(.elected) }
        leadsUntil = end
    }

    private mutating func stopLeading() {
        guard leadsUntil != nil else { return }
        leadsUntil = nil
        events.append(.lost)
    }

    private mutating func observe(_ lease: Lease, at now: MonotonicTime) {
        let before = holder
        if let observed, observed.lease.record == lease.record {
            self.observed = (lease, observed.since)
        } else {
            observed = (lease, now)
        }
        if holder != before { events.append(.holderChanged(holder)) }
    }

    private mutating func forget() {
        if holder != nil { events.append(.holderChanged(nil)) }
        observed = nil
    }

    private func renewal(of lease: Lease) -> LeaseChange {
        LeaseChange(
            holder: identity,
            duration: timing.leaseDuration,
            transitions: lease.record.transitions,
            keepsAcquireTime: true
        )
    }

    private func acquisition(transitions: Int32) -> LeaseChange {
        LeaseChange(
            holder: identity,
            duration: timing.leaseDuration,
            transitions: transitions,
            keepsAcquireTime: false
        )
    }

    /// The pause before the next attempt. A leader does not back off; other nodes do while requests fail.
    private func pause(_ random: Double) -> Duration {
        let jitter = 0.8 + 0.4 * min(max(random, 0), 1)
        guard leadsUntil == nil, failures > 1 else { return timing.retryPeriod * jitter }
        let doublings = min(failures - 1, 3)
        return min(timing.retryPeriod * (1 << doublings), timing.longestRetry) * jitter
    }
}
