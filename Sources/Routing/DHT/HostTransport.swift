import Kademlia
import LibP2P
import Multiformats
import NIOCore

/// The DHT's transport over streams of a libp2p host.
struct HostTransport: KademliaTransport {
    let host: Host
    let protocolID: String
    let recordsProtocolID: String
    /// Idle streams for reuse.
    let streams = StreamPool()

    func executor(for peer: PeerID) -> (any TaskExecutor)? {
        host.taskExecutor(for: peer)
    }

    func request(_ message: Message, to peer: PeerInfo) async throws -> Message {
        if let used = streams.take(peer.id) {
            do {
                return try await exchange(message, over: used, with: peer)
            } catch StreamError.reset, StreamError.connectionClosed, StreamError.closed, is NoReply {
                // The peer closed it just now, which does not count against the peer.
                try Task.checkCancellation()
            }
        }
        let stream = try await host.openStream(to: peer, protocols: [protocolID])
        return try await exchange(message, over: stream, with: peer)
    }

    /// Sends a request and reads the reply. Then the stream is kept for the next one.
    private func exchange(_ message: Message, over stream: MuxedStream, with peer: PeerInfo) async throws -> Message {
        do {
            let request = ByteBuffer(bytes: message.encoded())
            guard let bytes = try await stream.exchange(request, maxLength: Message.maximumSize) else {
                throw NoReply(peer: peer.id)
            }
            let reply = try Message(decoding: Array(bytes.readableBytesView))
            streams.put(stream)
            return reply
        } catch {
            stream.reset()
            throw error
        }
    }

    func send(_ update: RecordUpdate, to peer: PeerInfo) async throws {
        // Only a peer that supports the records protocol gets one of its messages.
        try await withStream(to: peer, protocols: [recordsProtocolID, protocolID]) { stream in
            guard stream.protocolID == recordsProtocolID else {
                for message in update.messages {
                    try await stream.writeMessage(ByteBuffer(bytes: message.encoded()))
                }
                return
            }
            try await stream.writeMessage(ByteBuffer(bytes: update.encoded()))
            stream.closeWrite()
            // The peer's orderly end means that it has accepted the message; a reset throws.
            _ = try await stream.read(upTo: 1)
        }
    }

    /// Opens a stream and closes it at the end, or resets it after an error.
    private func withStream<Result: Sendable>(
        to peer: PeerInfo,
        protocols: [String],
        _ body: (MuxedStream) async throws -> Result
    ) async throws -> Result {
        let stream = try await host.openStream(to: peer, protocols: protocols)
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

/// An error for a peer that closed the stream instead of replying.
struct NoReply: Error, CustomStringConvertible {
    let peer: PeerID

    var description: String { "\(peer) closed the stream without a reply" }
}
