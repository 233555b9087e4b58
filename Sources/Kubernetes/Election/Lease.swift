import StructuredText

/// The election's part of a Lease of `coordination.k8s.io/v1`.
public struct LeaseRecord: Hashable, Sendable {
    /// The identity of the holder; empty for none.
    public var holder: String
    /// How long the holder keeps it after a change; `nil` when unset.
    public var duration: Duration?
    /// The times of acquisition and last renewal, by clocks of its holders: only for equality, never against a clock.
    public var acquireTime: String?
    /// See ``acquireTime``.
    public var renewTime: String?
    /// The number of changes of the holder.
    public var transitions: Int32

    /// Creates a record.
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

/// A version of a Lease in the API server.
public struct Lease: Hashable, Sendable {
    /// The election's part.
    public var record: LeaseRecord
    /// The version for an update.
    public var version: String
    /// The whole object, so that an update keeps all other fields.
    var object: JSONValue

    /// Creates a lease. Without an object an update sends only the fields of the record.
    init(record: LeaseRecord, version: String, object: JSONValue = .object([:])) {
        self.record = record
        self.version = version
        self.object = object
    }
}

/// A change of a Lease. The times are set when it is sent.
public struct LeaseChange: Hashable, Sendable {
    /// The new holder; empty to release the Lease.
    public var holder: String
    /// How long the holder keeps it without a further change.
    public var duration: Duration
    /// The number of changes of the holder.
    public var transitions: Int32
    /// Whether the holder stays the same, and with it the time of acquisition.
    public var keepsAcquireTime: Bool
}
