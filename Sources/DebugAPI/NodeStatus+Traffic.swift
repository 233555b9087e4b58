extension NodeStatus {
    /// The load of the registry at this moment.
    package struct Registry: DocumentSection {
        /// Open connections of clients.
        package var connections = 0
        /// Open connections to the registries of peers, idle ones included.
        package var peerConnections = 0
        package var requestsInFlight = 0
        /// Transfers from peers.
        package var mirrorsInFlight = 0

        package init() {}
    }

    /// A response with content that is in flight.
    package struct Transfer: Codable, Hashable, Sendable {
        /// The way that the content takes.
        package struct Direction: RawRepresentable, Codable, Hashable, Sendable {
            package let rawValue: String

            package init(rawValue: String) { self.rawValue = rawValue }

            /// From a peer to a client of this node.
            package static let received = Direction(rawValue: "received")
            /// From this node's store to a client of this node.
            package static let served = Direction(rawValue: "served")
            /// From this node's store to a peer.
            package static let sent = Direction(rawValue: "sent")
        }

        package var id: String
        package var kind: String
        package var key: String
        package var registry: String?
        package var repository: String
        package var direction: Direction
        /// `nil` for this node, and before a provider is found.
        package var source: String?
        package var client: String?
        package var bytes: Int64
        /// `nil` before the response begins.
        package var size: Int64?
        package var duration: Duration

        private enum CodingKeys: String, CodingKey {
            case id, kind, key, registry, repository, direction
            case source = "from"
            case client = "to"
            case bytes, size
            case duration = "milliseconds"
        }

        package init(
            id: String,
            kind: String,
            key: String,
            registry: String?,
            repository: String,
            direction: Direction,
            source: String?,
            client: String?,
            bytes: Int64,
            size: Int64?,
            duration: Duration
        ) {
            self.id = id
            self.kind = kind
            self.key = key
            self.registry = registry
            self.repository = repository
            self.direction = direction
            self.source = source
            self.client = client
            self.bytes = bytes
            self.size = size
            self.duration = duration
        }
    }

    /// Counters since the start of the process.
    package struct Totals: DocumentSection {
        package var hits = 0
        package var misses = 0
        package var local = 0
        package var cutShort = 0
        package var aborted = 0
        package var receivedBytes: Int64 = 0
        package var sourceBytes: Int64 = 0
        package var sentBytes: Int64 = 0
        package var localBytes: Int64 = 0
        package var failedAttempts = 0
        package var hedges = 0
        package var corruptAnswers = 0

        package init() {}
    }

    /// The traffic over time. Periods without traffic are left out.
    package struct History: DocumentSection {
        /// The last hour.
        package var minutes: [Period] = []
        /// The last day, in periods of 15 minutes.
        package var quarters: [Period] = []

        package init() {}
    }

    /// The traffic of a period.
    package struct Period: Codable, Hashable, Sendable {
        /// The start of the period.
        package var time: Int
        package var hits: Int
        package var misses: Int
        package var receivedBytes: Int64
        package var sourceBytes: Int64
        package var sentBytes: Int64

        package init(
            time: Int,
            hits: Int,
            misses: Int,
            receivedBytes: Int64,
            sourceBytes: Int64,
            sentBytes: Int64
        ) {
            self.time = time
            self.hits = hits
            self.misses = misses
            self.receivedBytes = receivedBytes
            self.sourceBytes = sourceBytes
            self.sentBytes = sentBytes
        }
    }

    /// A failed attempt at a peer, or a truncated response.
    package struct Failure: Codable, Hashable, Sendable {
        package var time: Double
        package var key: String
        package var registry: String?
        package var repository: String
        package var peerID: String?
        package var address: String?
        /// A value of the label `reason` of `spegel_mirror_failed_attempts_total`, or `cut_short`.
        package var reason: String
        /// The reason in words.
        package var text: String

        private enum CodingKeys: String, CodingKey {
            case time, key, registry, repository
            case peerID = "peer"
            case address, reason, text
        }

        package init(
            time: Double,
            key: String,
            registry: String?,
            repository: String,
            peerID: String?,
            address: String?,
            reason: String,
            text: String
        ) {
            self.time = time
            self.key = key
            self.registry = registry
            self.repository = repository
            self.peerID = peerID
            self.address = address
            self.reason = reason
            self.text = text
        }
    }
}
