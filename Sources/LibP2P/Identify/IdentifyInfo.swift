internal import FoundationEssentials
import Multiformats
import NIOCore
internal import SwiftProtobuf

/// The content of an identify message (libp2p/specs, identify/README.md).
public struct IdentifyInfo: Equatable, Sendable {
    /// The protocol that requests a message.
    public static let protocolID = "/ipfs/id/1.0.0"
    /// The protocol that pushes changes.
    public static let pushProtocolID = "/ipfs/id/push/1.0.0"
    /// The maximum length of a message in bytes, without its length prefix.
    public static let maxMessageLength = 8 * 1024

    /// The maximum number of listen addresses; more are dropped.
    static let maxListenAddresses = 64
    /// The maximum number of protocols; more are dropped.
    static let maxProtocols = 256

    /// The public key in its protobuf form; empty when the peer omits it.
    public var publicKey: [UInt8] = []
    /// The listen addresses of the peer, without malformed entries.
    public var listenAddresses: [Multiaddr] = []
    /// The protocols that the peer accepts.
    public var protocols: [String] = []
    /// The address under which the peer sees this node.
    public var observedAddress: Multiaddr?
    /// The name and version of the network.
    public var protocolVersion: String = ""
    /// The name and version of the peer's program.
    public var agentVersion: String = ""

    /// Decodes a message.
    ///
    /// - Throws: ``IdentifyError`` when the bytes are no such message.
    package init(message bytes: ByteBuffer) throws(IdentifyError) {
        guard let message = try? IdentifyMessage(serializedBytes: Array(bytes.readableBytesView)) else {
            throw IdentifyError()
        }
        publicKey = Array(message.publicKey)
        listenAddresses = message.listenAddrs.prefix(Self.maxListenAddresses).compactMap {
            try? Multiaddr(bytes: Array($0))
        }
        protocols = Array(message.protocols.prefix(Self.maxProtocols))
        observedAddress = message.hasObservedAddr ? try? Multiaddr(bytes: Array(message.observedAddr)) : nil
        protocolVersion = message.protocolVersion
        agentVersion = message.agentVersion
    }

    package init() {}

    /// The encoded message. Drops the last addresses, then the last protocols, as far as it exceeds the limit.
    package func encoded() throws -> ByteBuffer {
        var message = IdentifyMessage()
        message.publicKey = Data(publicKey)
        message.listenAddrs = listenAddresses.map { Data($0.bytes) }
        message.protocols = protocols
        if let observedAddress { message.observedAddr = Data(observedAddress.bytes) }
        message.protocolVersion = protocolVersion
        message.agentVersion = agentVersion
        var bytes: [UInt8] = try message.serializedBytes()
        while bytes.count > Self.maxMessageLength {
            if message.listenAddrs.popLast() == nil, message.protocols.popLast() == nil { break }
            bytes = try message.serializedBytes()
        }
        return ByteBuffer(bytes: bytes)
    }

    /// Merges a push. Fields that it omits stay unchanged.
    package mutating func merge(push: IdentifyInfo) {
        if !push.publicKey.isEmpty { publicKey = push.publicKey }
        if !push.listenAddresses.isEmpty { listenAddresses = push.listenAddresses }
        if !push.protocols.isEmpty { protocols = push.protocols }
        if let address = push.observedAddress { observedAddress = address }
        if !push.protocolVersion.isEmpty { protocolVersion = push.protocolVersion }
        if !push.agentVersion.isEmpty { agentVersion = push.agentVersion }
    }
}

/// An error from decoding an identify message.
public struct IdentifyError: Error, Equatable, CustomStringConvertible {
    /// What was expected and what was found.
    public var description: String { "expected an identify message, found other bytes" }
}
