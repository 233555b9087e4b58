public import Multiformats

/// A message of the Kademlia DHT protocol (libp2p/specs, kad-dht, "RPC messages"), with the fields of this project.
public struct Message: Hashable, Sendable {
    /// The maximum length of a message in bytes, without its length prefix.
    public static let maximumSize = 4 << 20

    /// The type of a message. Unknown values are preserved.
    public struct Kind: RawRepresentable, Hashable, Sendable {
        /// The number on the wire.
        public let rawValue: Int32

        /// A kind with any number.
        public init(rawValue: Int32) {
            self.rawValue = rawValue
        }

        /// Stores a value record; unsupported.
        public static let putValue = Kind(rawValue: 0)
        /// Requests a value record; unsupported.
        public static let getValue = Kind(rawValue: 1)
        /// Announces the sender as a provider of the key; without a reply.
        public static let addProvider = Kind(rawValue: 2)
        /// Requests the providers of a key and the peers closest to it.
        public static let getProviders = Kind(rawValue: 3)
        /// Requests the peers closest to a key, which is a peer id.
        public static let findNode = Kind(rawValue: 4)
        /// Requests the same message back.
        public static let ping = Kind(rawValue: 5)
    }

    /// The sender's connection to a peer. Informative: nothing in this project depends on it.
    public enum Connection: Int32, Hashable, Sendable {
        /// No connection, and nothing known.
        case notConnected = 0
        /// A connection is open.
        case connected = 1
        /// A connection was open recently.
        case canConnect = 2
        /// A recent dial failed.
        case cannotConnect = 3
    }

    /// A peer in a message.
    public struct Peer: Hashable, Sendable {
        /// The id and addresses.
        public var info: PeerInfo
        /// The sender's connection to it.
        public var connection: Connection

        /// Creates a peer.
        public init(_ info: PeerInfo, connection: Connection = .notConnected) {
            self.info = info
            self.connection = connection
        }
    }

    /// The type of the request or reply.
    public var kind: Kind
    /// A content key on the wire, or a peer id; empty in most replies.
    public var key: [UInt8]
    /// Peers close to the key, the closest first.
    public var closerPeers: [Peer]
    /// Providers of the key.
    public var providerPeers: [Peer]

    /// Creates a message.
    public init(kind: Kind, key: [UInt8] = [], closerPeers: [Peer] = [], providerPeers: [Peer] = []) {
        self.kind = kind
        self.key = key
        self.closerPeers = closerPeers
        self.providerPeers = providerPeers
    }
}

extension Message.Kind: CustomStringConvertible {
    /// The name in the specification (`FIND_NODE`), or `kind 17`.
    public var description: String {
        switch self {
        case .putValue: "PUT_VALUE"
        case .getValue: "GET_VALUE"
        case .addProvider: "ADD_PROVIDER"
        case .getProviders: "GET_PROVIDERS"
        case .findNode: "FIND_NODE"
        case .ping: "PING"
        default: "kind \(rawValue)"
        }
    }
}
