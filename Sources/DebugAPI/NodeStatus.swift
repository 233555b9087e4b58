/// The state of a node at one moment: the document of `/debug/api/status` (docs/api.md).
///
/// Sizes are in bytes, moments in seconds since 1970. A member that is added later is optional, or of a kind that may be
/// missing, see `DocumentCoding.swift`.
package struct NodeStatus: Codable, Hashable, Sendable {
    /// The moment at which the node looked.
    package var time: Double
    package var node: Node
    package var store: Store
    package var router = Router()
    package var peers = Peers()
    package var images = Listing<Image>()
    package var registry = Registry()
    package var transfers = Listing<Transfer>()
    package var totals = Totals()
    package var history = History()
    /// The newest first.
    package var failures: [Failure] = []

    package init(time: Double, node: Node, store: Store) {
        self.time = time
        self.node = node
        self.store = store
    }

    /// A list that is cut off at a limit.
    package struct Listing<Item: Codable & Hashable & Sendable>: DocumentSection {
        /// The number of all items, those beyond the limit included.
        package var count = 0
        package var list: [Item] = []

        package init() {}
    }

    /// The node's identity and health.
    package struct Node: Codable, Hashable, Sendable {
        package var peerID: String
        package var version: String
        package var uptimeSeconds: Int
        /// The addresses of the router.
        package var addresses: [String]
        /// The address of the registry, as configured.
        package var registry: String
        package var zone: String?
        package var isReady: Bool
        /// What the node does, or why it is not ready.
        package var state: String
        /// The parts of the process that stand still.
        package var stalls: [String]
        /// `nil` for a node that takes part in no election.
        package var leader: Leader?

        private enum CodingKeys: String, CodingKey {
            case peerID = "peer"
            case version, uptimeSeconds, addresses, registry, zone
            case isReady = "ready"
            case state, stalls, leader
        }

        package init(
            peerID: String,
            version: String,
            uptimeSeconds: Int,
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
            self.uptimeSeconds = uptimeSeconds
            self.addresses = addresses
            self.registry = registry
            self.zone = zone
            self.isReady = isReady
            self.state = state
            self.stalls = stalls
            self.leader = leader
        }
    }

    /// The election as this node sees it.
    package struct Leader: Codable, Hashable, Sendable {
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
    package struct Store: Codable, Hashable, Sendable {
        /// Whether the node follows the store.
        package struct State: RawRepresentable, Codable, Hashable, Sendable {
            package let rawValue: String

            package init(rawValue: String) { self.rawValue = rawValue }

            package static let starting = State(rawValue: "starting")
            package static let followed = State(rawValue: "followed")
            package static let away = State(rawValue: "away")
        }

        package var name: String
        package var state: State
        /// Why the store is away.
        package var reason: String?
        /// How long the store has been away.
        package var awaySeconds: Int?
        package var outages = 0
        package var contents = 0
        package var tags = 0
        package var advertisedKeys = 0
        package var withheldContents = 0
        package var imagesWithoutLayers = 0

        package init(name: String, state: State) {
            self.name = name
            self.state = state
        }
    }

    /// An image in the store.
    package struct Image: Codable, Hashable, Sendable {
        package var name: String
        package var digest: String?
        package var mediaType: String?
        package var isAdvertised: Bool

        private enum CodingKeys: String, CodingKey {
            case name, digest, mediaType
            case isAdvertised = "advertised"
        }

        package init(name: String, digest: String?, mediaType: String?, isAdvertised: Bool) {
            self.name = name
            self.digest = digest
            self.mediaType = mediaType
            self.isAdvertised = isAdvertised
        }
    }
}
