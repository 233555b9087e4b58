import LibP2P
import Multiformats

/// A line of output: exactly one of the two stands in it.
struct Answer<Result: Encodable>: Encodable {
    var result: Result?
    var error: String?
}

/// The answer of a command that has nothing to tell.
struct Done: Encodable {}

/// Who a node is; the first line of its output, too.
struct PeerAnswer: Encodable {
    var id: String
    var addresses: [String]

    init(_ info: PeerInfo) {
        id = "\(info.id)"
        addresses = info.addresses.map { "\($0)" }
    }
}

/// A connection, and what was agreed upon for it.
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

/// The identification of a peer.
struct IdentifyAnswer: Encodable {
    var agentVersion: String
    var protocolVersion: String
    var protocols: [String]
    var listenAddresses: [String]
    var observedAddress: String?
    /// The id that follows from the public key that the peer told.
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

/// How full a node is.
struct CountsAnswer: Encodable {
    var peers: Int
    var records: Int
}
