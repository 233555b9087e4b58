import Multiformats
import NIOCore

/// An established connection with a peer.
final class Connection: Sendable {
    let remotePeer: PeerID
    let remoteAddress: Multiaddr
    let isInbound: Bool
    let channel: any Channel
    private let handler: NIOLoopBound<YamuxHandler>

    /// To be called on the channel's event loop.
    init(handler: YamuxHandler, isInbound: Bool, channel: any Channel) {
        remotePeer = handler.remotePeer
        remoteAddress = handler.remoteAddress
        self.isInbound = isInbound
        self.channel = channel
        self.handler = NIOLoopBound(handler, eventLoop: channel.eventLoop)
    }

    /// Opens a stream and agrees upon the first of `protocols` that the peer supports.
    func openStream(protocols: [String]) async throws -> MuxedStream {
        let waiter = Waiter<MuxedStream>()
        channel.eventLoop.execute { [handler] in
            handler.value.openStream(protocols: protocols, waiter: waiter)
        }
        return try await waiter.wait()
    }

    /// Tells the peer that no more streams are opened; the open ones may end.
    func goAway() {
        channel.eventLoop.execute { [handler] in handler.value.goAway() }
    }

    /// Closes the connection.
    func close(reason: String) {
        channel.eventLoop.execute { [handler] in handler.value.close(reason: reason) }
    }
}
