import LibP2P
import Multiformats

/// A line of output with either a result or an error.
struct Answer<Result: Encodable>: Encodable {
    var result: Result?
    var error: String?
}

/// The answer of a command without a result.
struct Done: Encodable {}

/// The id and addresses of a node; also the first line of its output.
struct PeerAnswer: Encodable {
    var id: String
    var addresses: [String]

    init(_ info: PeerInfo) {
        id = "\(info.id)"
        addresses = info.addresses.map { "\($0)" }
    }
}

/// A connection with the negotiated protocols.
struct ConnectionAnswer: Encodable {
    var remoteAddress: String
    var isInbound: Bool
    var security: String
    var muxer: String
    var hasEarlyMuxer: Bool

    init(_ info: ConnectionInfo) {
        remoteAddress = "\(info.remoteAddress)"
        isInbound = info.isInbound
        security = info.security
        muxer = info.muxer
        hasEarlyMuxer = info.hasEarlyMuxer
    }
}

/// The identify message of a peer.
struct IdentifyAnswer: Encodable {
    var agentVersion: String
    var protocolVersion: String
    var protocols: [String]
    var listenAddresses: [String]
    var observedAddress: String?
    /// The id of the public key in the message.
    var id: String

    init(_ info: IdentifyInfo) {
        agentVersion = info.agentVersion
        protocolVersion = info.protocolVersion
        protocols = info.protocols
        listenAddresses = info.listenAddresses.map { "\($0)" }
        observedAddress = info.observedAddress.map { "\($0)" }
        id = "\(PeerID(publicKeyProtobuf: info.publicKey))"
    }
}

/// The counts of a node.
struct CountsAnswer: Encodable {
    var peers: Int
    var records: Int
}
