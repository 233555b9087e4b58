import Time

/// The search for providers of one transfer: when it starts, when it is given up, and whether there is another one.
///
/// The resolve timeout bounds the wait for the first provider. It runs from when the lookup has its place: the time that
/// a busy node takes to start one says nothing about the content. Once a provider is found, the lookup may go on
/// until the lookup timeout. A second lookup lasts for the resolve timeout.
struct ProviderLookup {
    enum State {
        /// A peer that gave a range moments ago is asked alone. -> `starting`, at the time or when that peer fails
        case deferred(until: MonotonicTime)
        /// The lookup is requested and waits for its place. -> `running`, `ended`
        case starting
        /// -> `ended`
        case running
        /// It found all that it can, or was given up. -> `starting`, once
        case ended
    }

    private(set) var state = State.starting
    /// Whether it was cut since no more providers were needed.
    private var isCut = false
    /// Whether the lookup is the second one.
    private(set) var isRepeated = false
    /// Whether the last lookup had its place. One that was cut says nothing of peers that it would have found.
    private(set) var hasRun = false
    private let resolveTimeout: Duration
    private let lookupTimeout: Duration
    private var resolveDeadline: MonotonicTime
    private var lookupDeadline: MonotonicTime

    init(_ limits: LookupLimits, now: MonotonicTime) {
        resolveTimeout = limits.resolveTimeout
        lookupTimeout = max(limits.timeout, limits.resolveTimeout)
        lookupDeadline = now + lookupTimeout
        resolveDeadline = lookupDeadline
    }

    /// Whether it may find another provider.
    var isOpen: Bool {
        if case .ended = state { false } else { true }
    }

    /// Whether it was cut before it had found all that it could.
    var wasCut: Bool { !isOpen && isCut }

    var deferredUntil: MonotonicTime? {
        if case .deferred(let until) = state { until } else { nil }
    }

    /// When it is given up.
    func end(hasProviders: Bool) -> MonotonicTime {
        hasProviders ? lookupDeadline : resolveDeadline
    }

    mutating func delay(until: MonotonicTime) {
        state = .deferred(until: until)
    }

    /// The delay is over.
    mutating func start() {
        if case .deferred = state { state = .starting }
    }

    /// It has its place.
    mutating func started(now: MonotonicTime) {
        hasRun = true
        guard isOpen else { return }
        state = .running
        resolveDeadline = min(now + resolveTimeout, lookupDeadline)
        if isRepeated { lookupDeadline = resolveDeadline }
    }

    /// No more providers are needed; its end is still to come.
    mutating func cut() {
        isCut = true
    }

    mutating func ended(wasCut: Bool = false) {
        state = .ended
        if wasCut { isCut = true }
    }

    /// Providers are looked for once more.
    mutating func repeats(now: MonotonicTime) {
        state = .starting
        isRepeated = true
        isCut = false
        hasRun = false
        lookupDeadline = now + lookupTimeout
        resolveDeadline = lookupDeadline
    }
}
