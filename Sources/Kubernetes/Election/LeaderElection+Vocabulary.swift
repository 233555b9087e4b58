extension LeaderElection {
    /// A request to the API server.
    public enum Request: Hashable, Sendable {
        /// Read the Lease.
        case get
        /// Make the Lease.
        case create(LeaseChange)
        /// Change the Lease, if it still is this one.
        case update(Lease, LeaseChange)
    }

    /// What the shell is to do.
    public enum Step: Hashable, Sendable {
        /// Send this, and give up at that time.
        case send(Request, deadline: Duration)
        /// Do nothing until then.
        case wait(until: Duration)
        /// It is over.
        case finished
    }

    /// How a request went.
    public enum Outcome: Hashable, Sendable {
        /// The Lease as it is now.
        case lease(Lease)
        /// There is no Lease.
        case absent
        /// It was another version, or exists already.
        case conflict
        /// It failed, or nobody knows.
        case failed
    }

    /// What others are told.
    public enum Event: Hashable, Sendable {
        /// This node leads from now on.
        case elected
        /// This node leads no longer.
        case lost
        /// Another holder was seen, or none.
        case holderChanged(String?)
    }
}
