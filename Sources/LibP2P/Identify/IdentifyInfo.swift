internal import FoundationEssentials
import Multiformats
import NIOCore
internal import SwiftProtobuf

/// What a peer says of itself by identify (libp2p/specs, identify/README.md).
public struct IdentifyInfo: Equatable, Sendable {
    /// The protocol by which a peer asks.
    public static let protocolID = "/ipfs/id/1.0.0"
    /// The protocol by which a peer tells of changes.
    public static let pushProtocolID = "/ipfs/id/push/1.0.0"
    /// The longest message in bytes, without its length prefix.
    public static let maxMessageLength = 8 * 1024

    /// The most listen addresses that are kept; more are left out.
    static let maxListenAddresses = 64
    /// The most protocols that are kept; more are left out.
    static let maxProtocols = 256

    /// The public key in its protobuf form; empty when the peer does not tell.
    public var publicKey: [UInt8] = []
    /// Where the peer listens. Entries that are no multiaddr are left out.
    public var listenAddresses: [Multiaddr] = []
    /// The protocols that the peer accepts.
    public var protocols: [String] = []
    /// The address from which the peer sees this node.
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

    /// The message, without as many of the last addresses, then protocols, as exceed the limit.
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

    /// Takes over what a push tells; what it leaves out stays as it was.
    package mutating func merge(push: IdentifyInfo) {
        if !push.publicKey.isEmpty { publicKey = push.publicKey }
        if !push.listenAddresses.isEmpty { listenAddresses = push.listenAddresses }
        if !push.protocols.isEmpty { protocols = push.protocols }
        if let address = push.observedAddress { observedAddress = address }
        if !push.protocolVersion.isEmpty { protocolVersion = push.protocolVersion }
        if !push.agentVersion.isEmpty { agentVersion = push.agentVersion }
    }
}

/// A peer's message about itself that is no such message.
public struct IdentifyError: Error, Equatable, CustomStringConvertible {
    /// What was expected.
    public var description: String { "expected an identify message, found bytes that are none" }
}
