extension NodeStatus {
    /// The router and its node of the DHT. The counters begin at the start of the process.
    package struct Router: DocumentSection {
        package var isReady = false
        /// What the router does, or why it is not ready.
        package var state = ""
        /// Requests to peers.
        package var requests = 0
        /// Requests to peers that failed or timed out.
        package var failedRequests = 0
        /// Messages from peers.
        package var handledMessages = 0

        private enum CodingKeys: String, CodingKey {
            case isReady = "ready"
            case state, requests, failedRequests, handledMessages
        }

        package init() {}
    }

    /// The other nodes.
    package struct Peers: DocumentSection {
        /// The number of peers with a connection.
        package var connected = 0
        /// The number of peers in the routing table.
        package var routingTable = 0
        /// The number of provider records that this node stores.
        package var providerRecords = 0
        /// Cut off at a limit, connected peers first.
        package var list: [Peer] = []

        package init() {}
    }

    /// Another node.
    package struct Peer: Codable, Hashable, Sendable {
        package var peerID: String
        package var zone: String?
        package var agent: String?
        package var isConnected: Bool
        package var connections: [Connection] = []
        package var isInRoutingTable: Bool
        /// The bucket of the routing table.
        package var bucket: Int?
        /// The time since the routing table last heard from the peer.
        package var idle: Duration?
        /// `nil` before the first measurement.
        package var roundTripTime: Duration?
        /// The addresses of its router.
        package var addresses: [String]
        /// The addresses at which its registry is expected.
        package var registries: [String]

        private enum CodingKeys: String, CodingKey {
            case peerID = "peer"
            case zone, agent
            case isConnected = "connected"
            case connections
            case isInRoutingTable = "inRoutingTable"
            case bucket
            case idle = "idleMilliseconds"
            case roundTripTime = "roundTripMilliseconds"
            case addresses, registries
        }

        package init(
            peerID: String,
            isConnected: Bool,
            isInRoutingTable: Bool,
            addresses: [String],
            registries: [String]
        ) {
            self.peerID = peerID
            self.isConnected = isConnected
            self.isInRoutingTable = isInRoutingTable
            self.addresses = addresses
            self.registries = registries
        }
    }

    /// A connection between the routers of two nodes.
    package struct Connection: Codable, Hashable, Sendable {
        package var address: String
        /// Whether the peer dialled.
        package var isInbound: Bool
        package var security: String
        package var muxer: String
        package var ageSeconds: Int

        private enum CodingKeys: String, CodingKey {
            case address
            case isInbound = "inbound"
            case security, muxer, ageSeconds
        }

        package init(address: String, isInbound: Bool, security: String, muxer: String, ageSeconds: Int) {
            self.address = address
            self.isInbound = isInbound
            self.security = security
            self.muxer = muxer
            self.ageSeconds = ageSeconds
        }
    }
}
