import Listening
import Multiformats
import NIOCore
import Time

/// An established connection with a peer.
final class Connection: Sendable {
    let remotePeer: PeerID
    let remoteAddress: Multiaddr
    let isInbound: Bool
    let security: SecurityProtocol
    let muxer: String
    /// Whether the security handshake selected the muxer.
    let hasEarlyMuxer: Bool
    /// The fingerprint of the cluster key that the peer has proven to know, if it had to.
    let membership: String?
    let openedAt = MonotonicTime.now
    let activity: ConnectionActivity
    let channel: any Channel
    let taskExecutor: EventLoopTaskExecutor
    private let handler: NIOLoopBound<YamuxHandler>

    /// Must be called on the channel's event loop.
    init(
        handler: YamuxHandler,
        isInbound: Bool,
        security: SecurityProtocol,
        muxer: String,
        hasEarlyMuxer: Bool,
        membership: String?,
        channel: any Channel
    ) {
        remotePeer = handler.remotePeer
        remoteAddress = handler.remoteAddress
        activity = handler.activity
        self.isInbound = isInbound
        self.security = security
        self.muxer = muxer
        self.hasEarlyMuxer = hasEarlyMuxer
        self.membership = membership
        self.channel = channel
        taskExecutor = handler.taskExecutor
        self.handler = NIOLoopBound(handler, eventLoop: channel.eventLoop)
    }

    var kind: ConnectionKind {
        ConnectionKind(
            isInbound: isInbound,
            security: security.protocolID,
            muxer: muxer,
            hasEarlyMuxer: hasEarlyMuxer,
            ipVersion: IPVersion(remoteAddress)
        )
    }

    var info: ConnectionInfo {
        ConnectionInfo(
            remoteAddress: remoteAddress,
            isInbound: isInbound,
            security: security.protocolID,
            muxer: muxer,
            hasEarlyMuxer: hasEarlyMuxer,
            roundTripTime: activity.roundTripTime,
            age: .now - openedAt
        )
    }

    /// Opens a stream and negotiates the first of `protocols` that the peer supports.
    func openStream(protocols: [String]) async throws -> MuxedStream {
        let waiter = Waiter<MuxedStream>()
        channel.eventLoop.execute { [handler] in
            handler.value.openStream(protocols: protocols, waiter: waiter)
        }
        return try await waiter.wait()
    }

    /// Closes the connection because the peer misbehaves.
    func drop(_ reason: DropReason, _ text: String) {
        channel.eventLoop.execute { [handler] in handler.value.drop(reason, text) }
    }

    /// Closes the connection.
    func close(reason: String) {
        channel.eventLoop.execute { [handler] in handler.value.close(reason: reason) }
    }
}
