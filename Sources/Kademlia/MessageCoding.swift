internal import FoundationEssentials
internal import Multiformats
internal import SwiftProtobuf

/// An error from decoding a message.
public enum MessageError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The message has more bytes than ``Message/maximumSize``.
    case tooLarge(size: Int)
    /// The bytes are not protobuf, or a field has the wrong type.
    case malformed
    /// The message has no type.
    case missingKind

    /// What was expected and what was found.
    public var description: String {
        switch self {
        case .tooLarge(let size): "expected a DHT message of at most \(Message.maximumSize) bytes, got \(size)"
        case .malformed: "expected a DHT message in protobuf, got other bytes"
        case .missingKind: "expected a DHT message with a type, got one without"
        }
    }
}

extension Message {
    /// The limits of one message. Entries above a limit are ignored, like malformed ones.
    public enum Limits {
        /// The maximum number of ``Message/closerPeers`` and of ``Message/providerPeers``, each.
        public static let peers = 256
        /// The maximum number of addresses of one peer.
        public static let addresses = 16
        /// The maximum length of an address in bytes.
        public static let addressBytes = 256
    }

    /// Decodes a message. Ignores malformed peers and addresses, and unknown fields.
    ///
    /// - Throws: ``MessageError``.
    public init(decoding bytes: [UInt8]) throws(MessageError) {
        guard bytes.count <= Self.maximumSize else { throw .tooLarge(size: bytes.count) }
        var options = BinaryDecodingOptions()
        options.discardUnknownFields = true
        guard let wire = try? WireMessage(serializedBytes: bytes, options: options) else { throw .malformed }
        // proto3 omits a zero, which is PUT_VALUE. But an empty message is more likely malformed.
        guard wire.hasType || wire.hasKey else { throw .missingKind }
        self.init(
            kind: Kind(rawValue: wire.type),
            key: Array(wire.key),
            closerPeers: wire.closerPeers.prefix(Limits.peers).compactMap(Peer.init(decoding:)),
            providerPeers: wire.providerPeers.prefix(Limits.peers).compactMap(Peer.init(decoding:))
        )
    }

    /// The message on the wire, without a length prefix.
    public func encoded() -> [UInt8] {
        var wire = WireMessage()
        wire.type = kind.rawValue
        if !key.isEmpty { wire.key = Data(key) }
        wire.closerPeers = closerPeers.map { Data($0.encoded()) }
        wire.providerPeers = providerPeers.map { Data($0.encoded()) }
        // Other implementations send the level that they serve, counted from one.
        wire.clusterLevelRaw = 1
        // Encoding fails only for missing required fields, and there are none.
        return (try? wire.serializedBytes()) ?? []
    }
}

extension Message.Peer {
    init?(decoding bytes: Data) {
        var options = BinaryDecodingOptions()
        options.discardUnknownFields = true
        guard let wire = try? WirePeer(serializedBytes: bytes, options: options),
            let id = try? PeerID(bytes: wire.id)
        else { return nil }
        let addresses = wire.addrs.lazy
            .filter { $0.count <= Message.Limits.addressBytes }
            .prefix(Message.Limits.addresses)
            .compactMap { try? Multiaddr(bytes: $0) }
            .filter { $0.peerID == nil || $0.peerID == id }
            .map(\.withoutPeerID)
        self.init(
            PeerInfo(id: id, addresses: Array(addresses)),
            connection: Message.Connection(rawValue: wire.connection) ?? .notConnected
        )
    }

    func encoded() -> [UInt8] {
        var wire = WirePeer()
        wire.id = Data(info.id.bytes)
        wire.addrs = info.addresses.map { Data($0.bytes) }
        wire.connection = connection.rawValue
        return (try? wire.serializedBytes()) ?? []
    }
}
