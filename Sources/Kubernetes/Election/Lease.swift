import StructuredText

/// What a Lease of `coordination.k8s.io/v1` says about who leads.
public struct LeaseRecord: Hashable, Sendable {
    /// Who holds it; empty when nobody does.
    public var holder: String
    /// How long it is held after a change, as the holder asked for; `nil` when it says nothing.
    public var duration: Duration?
    /// When it was acquired and last renewed, on the clocks of its holders: compared for equality, never with a clock.
    public var acquireTime: String?
    /// See ``acquireTime``.
    public var renewTime: String?
    /// How many times the holder has changed.
    public var transitions: Int32

    /// Makes a record.
    public init(
        holder: String,
        duration: Duration?,
        acquireTime: String? = nil,
        renewTime: String? = nil,
        transitions: Int32 = 0
    ) {
        self.holder = holder
        self.duration = duration
        self.acquireTime = acquireTime
        self.renewTime = renewTime
        self.transitions = transitions
    }
}

/// A Lease as the API server has it at one version.
public struct Lease: Hashable, Sendable {
    /// Who leads.
    public var record: LeaseRecord
    /// The version that an update must name.
    public var version: String
    /// The whole object, so that an update keeps what it does not change.
    var object: JSONValue

    /// Makes a lease; without an object an update sends only what is known here.
    init(record: LeaseRecord, version: String, object: JSONValue = .object([:])) {
        self.record = record
        self.version = version
        self.object = object
    }
}

/// What is to be written into a Lease. The times are stamped when it is sent.
public struct LeaseChange: Hashable, Sendable {
    /// The new holder; empty to let go.
    public var holder: String
    /// How long the lease is held without a further change.
    public var duration: Duration
    /// How many times the holder has changed.
    public var transitions: Int32
    /// Whether the holder stays, and with it the time at which it became that.
    public var keepsAcquireTime: Bool
}
