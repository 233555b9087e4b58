public import Multiformats

/// A message of the Kademlia DHT protocol (libp2p/specs, kad-dht, "RPC messages"), in the parts this project uses.
public struct Message: Hashable, Sendable {
    /// The longest message that is sent or taken, in bytes, without its length prefix.
    public static let maximumSize = 4 << 20

    /// What is asked, or what is answered. Values that are not named here are kept as they came.
    public struct Kind: RawRepresentable, Hashable, Sendable {
        /// The number on the wire.
        public let rawValue: Int32

        /// A kind of any number.
        public init(rawValue: Int32) {
            self.rawValue = rawValue
        }

        /// Stores a value record; not served by this project.
        public static let putValue = Kind(rawValue: 0)
        /// Asks for a value record; not served by this project.
        public static let getValue = Kind(rawValue: 1)
        /// Says that the sender provides the key; it has no reply.
        public static let addProvider = Kind(rawValue: 2)
        /// Asks for the providers of a key and the peers closest to it.
        public static let getProviders = Kind(rawValue: 3)
        /// Asks for the peers closest to a key, which is a peer id.
        public static let findNode = Kind(rawValue: 4)
        /// Is answered with itself.
        public static let ping = Kind(rawValue: 5)
    }

    /// What the sender knows about reaching a peer. Informative: nothing in this project depends on it.
    public enum Connection: Int32, Hashable, Sendable {
        /// No connection, and nothing known.
        case notConnected = 0
        /// A connection is open.
        case connected = 1
        /// There was a connection lately.
        case canConnect = 2
        /// Dialling failed lately.
        case cannotConnect = 3
    }

    /// A peer as it stands in a message.
    public struct Peer: Hashable, Sendable {
        /// Who it is, and where.
        public var info: PeerInfo
        /// What the sender knows about reaching it.
        public var connection: Connection

        /// A peer as it stands in a message.
        public init(_ info: PeerInfo, connection: Connection = .notConnected) {
            self.info = info
            self.connection = connection
        }
    }

    /// What is asked or answered.
    public var kind: Kind
    /// A content key on the wire, or a peer id; empty in most answers.
    public var key: [UInt8]
    /// Peers close to the key, the closest first.
    public var closerPeers: [Peer]
    /// Peers that provide the key.
    public var providerPeers: [Peer]

    /// A message.
    public init(kind: Kind, key: [UInt8] = [], closerPeers: [Peer] = [], providerPeers: [Peer] = []) {
        self.kind = kind
        self.key = key
        self.closerPeers = closerPeers
        self.providerPeers = providerPeers
    }
}

extension Message.Kind: CustomStringConvertible {
    /// The name of the specification (`FIND_NODE`), or `kind 17`.
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
