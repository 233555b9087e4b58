public import Monitoring

/// What a test pull took (docs/api.md, "Pull"). Moments are counted from its start.
public struct PullReport: Hashable, Sendable {
    /// One request.
    public struct Step: Hashable, Sendable {
        package var kind: ImageReport.Kind
        package var key: String
        package var size: Int64?
        package var start: Duration
        /// When the first holder was found; `nil` for what is held here, or when nobody was found.
        package var lookup: Duration?
        package var firstByte: Duration?
        package var end: Duration
        package var bytes: Int64 = 0
        /// `nil` when there was no answer.
        package var status: Int?
        /// The registry of the node that it came from, or `here`.
        package var source: String?
        /// Whether the digest was checked and is right.
        package var isVerified = false
        package var error: String?

        package init(kind: ImageReport.Kind, key: String, size: Int64?, start: Duration) {
            self.kind = kind
            self.key = key
            self.size = size
            self.start = start
            end = start
        }
    }

    /// As it was asked for.
    package var reference: String
    /// As it was understood.
    package var name: String
    package var duration = Duration.zero
    /// Why it is not complete; `nil` when it is.
    package var error: String?
    /// In the order in which they began.
    package var steps: [Step] = []

    /// What came in all.
    package var bytes: Int64 { steps.reduce(0) { $0 &+ $1.bytes } }
    package var isComplete: Bool { error == nil }

    package init(reference: String, name: String) {
        self.reference = reference
        self.name = name
    }

    /// The object of `/debug/api/pull`.
    public var json: JSON {
        .members([
            "reference": reference, "name": name, "milliseconds": duration, "bytes": bytes,
            "complete": isComplete, "error": error, "steps": steps,
        ])
    }
}

extension PullReport.Step: JSONRepresentable {
    package var json: JSON {
        .members([
            "kind": kind, "key": key, "size": size, "startMilliseconds": start,
            "lookupMilliseconds": lookup, "firstByteMilliseconds": firstByte, "endMilliseconds": end,
            "bytes": bytes, "status": status, "source": source, "verified": isVerified, "error": error,
        ])
    }
}
