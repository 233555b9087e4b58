public import Time

extension LeaderElection {
    /// A request to the API server.
    public enum Request: Hashable, Sendable {
        /// Read the Lease.
        case get
        /// Create the Lease.
        case create(LeaseChange)
        /// Update this version of the Lease.
        case update(Lease, LeaseChange)
    }

    /// The next step of the shell.
    public enum Step: Hashable, Sendable {
        /// Send the request, with a deadline.
        case send(Request, deadline: MonotonicTime)
        /// Wait until then.
        case wait(until: MonotonicTime)
        /// Stop: the election has ended.
        case finished
    }

    /// The outcome of a request.
    public enum Outcome: Hashable, Sendable {
        /// The present Lease.
        case lease(Lease)
        /// The Lease does not exist.
        case absent
        /// The version differs, or the Lease already exists.
        case conflict
        /// The request failed, or its outcome is unknown.
        case failed
    }

    /// An event for the log.
    public enum Event: Hashable, Sendable {
        /// This node became the leader.
        case elected
        /// This node stopped leading.
        case lost
        /// The holder of the Lease changed; `nil` for none.
        case holderChanged(String?)
    }
}
