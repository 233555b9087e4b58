/// The durations of an election, with client-go's names.
public struct ElectionTiming: Hashable, Sendable {
    /// How long other nodes respect an unchanged lease.
    public var leaseDuration: Duration
    /// How long after its last renewal a leader acts as the leader.
    public var renewDeadline: Duration
    /// The pause between two attempts.
    public var retryPeriod: Duration

    /// Creates a timing with Spegel's defaults.
    public init(
        leaseDuration: Duration = .seconds(10),
        renewDeadline: Duration = .seconds(5),
        retryPeriod: Duration = .seconds(2)
    ) {
        self.leaseDuration = leaseDuration
        self.renewDeadline = renewDeadline
        self.retryPeriod = retryPeriod
    }

    /// The fault of the values, or `nil`.
    public var fault: String? {
        if leaseDuration < .seconds(1) || leaseDuration > .seconds(86400) {
            return "expected a lease duration between 1s and 24h"
        }
        if leaseDuration.components.attoseconds != 0 { return "expected a lease duration in whole seconds" }
        if renewDeadline >= leaseDuration { return "expected a renew deadline shorter than the lease duration" }
        if retryPeriod < .milliseconds(100) { return "expected a retry period of at least 100ms" }
        // Leaves room for one failed attempt with its jitter.
        if retryPeriod * 1.2 >= renewDeadline {
            return "expected a retry period shorter than the renew deadline by a fifth or more"
        }
        return nil
    }

    /// The deadline of one request. It leaves a leader time for a second attempt when the first one hangs.
    var requestTimeout: Duration { renewDeadline / 2 }

    /// The maximum pause while the API server is unreachable.
    var longestRetry: Duration { retryPeriod * 8 }
}
