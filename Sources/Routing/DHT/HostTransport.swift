import Kademlia
import LibP2P
import Multiformats
import NIOCore

/// Carries the messages of the DHT over streams of a libp2p host.
struct HostTransport: KademliaTransport {
    let host: Host
    let protocolID: String

    func request(_ message: Message, to peer: PeerInfo) async throws -> Message {
        try await withStream(to: peer) { stream in
            try await stream.writeMessage(ByteBuffer(bytes: message.encoded()))
            stream.closeWrite()
            guard let reply = try await stream.readMessage(maxLength: Message.maximumSize) else {
                throw NoReply(peer: peer.id)
            }
            return try Message(decoding: Array(reply.readableBytesView))
        }
    }

    func send(_ message: Message, to peer: PeerInfo) async throws {
        try await send([message], to: peer)
    }

    func send(_ messages: [Message], to peer: PeerInfo) async throws {
        try await withStream(to: peer) { stream in
            for message in messages {
                try await stream.writeMessage(ByteBuffer(bytes: message.encoded()))
            }
        }
    }

    /// Opens a stream and closes it in the end, or resets it when something went wrong.
    private func withStream<Result: Sendable>(
        to peer: PeerInfo,
        _ body: (MuxedStream) async throws -> Result
    ) async throws -> Result {
        let stream = try await host.openStream(to: peer, protocols: [protocolID])
        do {
            let result = try await body(stream)
            stream.close()
            return result
        } catch {
            stream.reset()
            throw error
        }
    }
}

/// A peer closed the stream instead of answering.
struct NoReply: Error, CustomStringConvertible {
    let peer: PeerID

    var description: String { "\(peer) closed the stream without an answer" }
}
