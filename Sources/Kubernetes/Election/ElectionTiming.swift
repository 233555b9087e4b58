/// The three time spans of an election, as client-go names them.
public struct ElectionTiming: Hashable, Sendable {
    /// How long a lease that does not change is respected by those who do not hold it.
    public var leaseDuration: Duration
    /// How long after its last renewal a leader still believes that it leads.
    public var renewDeadline: Duration
    /// How long a node waits between two tries.
    public var retryPeriod: Duration

    /// Spegel's values by default.
    public init(
        leaseDuration: Duration = .seconds(10),
        renewDeadline: Duration = .seconds(5),
        retryPeriod: Duration = .seconds(2)
    ) {
        self.leaseDuration = leaseDuration
        self.renewDeadline = renewDeadline
        self.retryPeriod = retryPeriod
    }

    /// What is wrong with the values, or `nil`.
    public var fault: String? {
        if leaseDuration < .seconds(1) || leaseDuration > .seconds(86400) {
            return "the lease duration must be between 1s and 24h"
        }
        if leaseDuration.components.attoseconds != 0 { return "the lease duration must be whole seconds" }
        if renewDeadline >= leaseDuration { return "the renew deadline must be shorter than the lease duration" }
        if retryPeriod < .milliseconds(100) { return "the retry period must be at least 100ms" }
        // Room for one try that fails, with all jitter.
        if retryPeriod * 1.2 >= renewDeadline {
            return "the retry period must be shorter than the renew deadline by a fifth or more"
        }
        return nil
    }

    /// The time for one request: a leader whose first try hangs has time for another.
    var requestTimeout: Duration { renewDeadline / 2 }

    /// The longest wait while the API server cannot be reached.
    var longestRetry: Duration { retryPeriod * 8 }
}
