import Monitoring

/// A node at one moment, as the page shows it and the API tells it (docs/api.md). Bytes are whole, durations are of any
/// length, moments are in seconds since 1970.
public struct NodeStatus: Hashable, Sendable {
    /// What the node is, and whether it works.
    public struct Node: Hashable, Sendable {
        /// The id, in text.
        package var peerID: String
        package var version: String
        package var uptime: Duration
        /// The addresses of the router.
        package var addresses: [String]
        /// Where the registry listens.
        package var registry: String
        /// Where the node is, if it was told.
        package var zone: String?
        package var isReady: Bool
        /// In what state it is, or what is missing.
        package var state: String
        /// What has not moved for too long.
        package var stalls: [String]
        /// How the election stands, where the node takes part in one.
        package var leader: Leader?

        package init(
            peerID: String,
            version: String,
            uptime: Duration,
            addresses: [String],
            registry: String,
            zone: String? = nil,
            isReady: Bool,
            state: String,
            stalls: [String] = [],
            leader: Leader? = nil
        ) {
            self.peerID = peerID
            self.version = version
            self.uptime = uptime
            self.addresses = addresses
            self.registry = registry
            self.zone = zone
            self.isReady = isReady
            self.state = state
            self.stalls = stalls
            self.leader = leader
        }
    }

    /// Who leads, as this node knows it.
    public struct Leader: Hashable, Sendable {
        package var leads: Bool
        package var holder: String?
        package var transitions: Int
        /// Why the last request to the API server failed.
        package var error: String?

        package init(leads: Bool, holder: String?, transitions: Int, error: String?) {
            self.leads = leads
            self.holder = holder
            self.transitions = transitions
            self.error = error
        }
    }

    /// The content store.
    public struct Store: Hashable, Sendable {
        /// How it stands with the store.
        public enum State: Hashable, Sendable {
            case starting
            case followed
            case away(reason: String, since: Duration)
        }

        package var name: String
        package var state: State
        package var outages: Int
        package var contents: Int
        package var tags: Int
        package var advertisedKeys: Int
        package var withheldContents: Int
        package var imagesWithoutLayers: Int

        package init(
            name: String,
            state: State,
            outages: Int = 0,
            contents: Int = 0,
            tags: Int = 0,
            advertisedKeys: Int = 0,
            withheldContents: Int = 0,
            imagesWithoutLayers: Int = 0
        ) {
            self.name = name
            self.state = state
            self.outages = outages
            self.contents = contents
            self.tags = tags
            self.advertisedKeys = advertisedKeys
            self.withheldContents = withheldContents
            self.imagesWithoutLayers = imagesWithoutLayers
        }
    }

    /// Another node.
    public struct Peer: Hashable, Sendable {
        package var peerID: String
        package var zone: String?
        package var agent: String?
        package var isConnected: Bool
        package var isInRoutingTable: Bool
        /// `nil` until it was measured.
        package var roundTripTime: Duration?
        /// Of its router.
        package var addresses: [String]
        /// Where its registry is expected.
        package var registries: [String]

        package init(
            peerID: String,
            zone: String? = nil,
            agent: String?,
            isConnected: Bool,
            isInRoutingTable: Bool,
            roundTripTime: Duration?,
            addresses: [String],
            registries: [String]
        ) {
            self.peerID = peerID
            self.zone = zone
            self.agent = agent
            self.isConnected = isConnected
            self.isInRoutingTable = isInRoutingTable
            self.roundTripTime = roundTripTime
            self.addresses = addresses
            self.registries = registries
        }
    }

    /// The network of nodes.
    public struct Network: Hashable, Sendable {
        package var connected: Int
        package var routingTable: Int
        package var providerRecords: Int
        /// Bounded in number.
        package var peers: [Peer]

        package init(connected: Int, routingTable: Int, providerRecords: Int, peers: [Peer]) {
            self.connected = connected
            self.routingTable = routingTable
            self.providerRecords = providerRecords
            self.peers = peers
        }
    }

    /// An image that is held.
    public struct Image: Hashable, Sendable {
        package var name: String
        package var digest: String?
        package var mediaType: String?
        package var isAdvertised: Bool

        package init(name: String, digest: String?, mediaType: String?, isAdvertised: Bool) {
            self.name = name
            self.digest = digest
            self.mediaType = mediaType
            self.isAdvertised = isAdvertised
        }
    }

    /// An answer with content that is under way.
    public struct Transfer: Hashable, Sendable {
        /// From where to where.
        public enum Direction: String, Sendable {
            case received
            case served
            case sent
        }

        package var id: String
        package var kind: String
        package var key: String
        package var registry: String?
        package var repository: String
        package var direction: Direction
        package var source: String?
        package var client: String?
        package var bytes: Int64
        package var size: Int64?
        package var duration: Duration

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

    /// What was done since the start.
    public struct Totals: Hashable, Sendable {
        package var hits = 0
        package var misses = 0
        package var local = 0
        package var cutShort = 0
        package var aborted = 0
        package var receivedBytes = 0
        package var sourceBytes = 0
        package var sentBytes = 0
        package var localBytes = 0
        package var failedAttempts = 0
        package var hedges = 0
        package var corruptAnswers = 0

        package init() {}
    }

    /// What happened in a period of time.
    public struct Period: Hashable, Sendable {
        package var start: Int
        package var hits: Int
        package var misses: Int
        package var receivedBytes: Int64
        package var sourceBytes: Int64
        package var sentBytes: Int64

        package init(
            start: Int,
            hits: Int,
            misses: Int,
            receivedBytes: Int64,
            sourceBytes: Int64,
            sentBytes: Int64
        ) {
            self.start = start
            self.hits = hits
            self.misses = misses
            self.receivedBytes = receivedBytes
            self.sourceBytes = sourceBytes
            self.sentBytes = sentBytes
        }
    }

    /// Something that failed.
    public struct Failure: Hashable, Sendable {
        package var time: Double
        package var key: String
        package var registry: String?
        package var repository: String
        package var peerID: String?
        package var address: String?
        package var reason: String
        package var text: String

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

    /// When this was so.
    package var time: Double
    package var node: Node
    package var store: Store
    package var network: Network
    /// Bounded in number; ``imageCount`` is of all.
    package var images: [Image] = []
    package var imageCount = 0
    /// Bounded in number; ``transferCount`` is of all.
    package var transfers: [Transfer] = []
    package var transferCount = 0
    package var totals = Totals()
    /// The last hour; only periods in which something happened.
    package var minutes: [Period] = []
    /// The last day, by the quarter of an hour.
    package var quarters: [Period] = []
    /// The newest first.
    package var failures: [Failure] = []

    package init(time: Double, node: Node, store: Store, network: Network) {
        self.time = time
        self.node = node
        self.store = store
        self.network = network
    }
}
