import NIOCore
import Synchronization

/// The connections that are open.
final class MonitoringConnections: Sendable {
    private let channels = Mutex<[ObjectIdentifier: any Channel]>([:])

    var all: [any Channel] { channels.withLock { Array($0.values) } }

    func insert(_ channel: any Channel) {
        channels.withLock { $0[ObjectIdentifier(channel)] = channel }
    }

    func remove(_ channel: any Channel) {
        channels.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(channel)) }
    }
}

/// Accepts no connection while there are as many as allowed; those that come wait in the system's queue.
final class MonitoringConnectionLimiter: ChannelDuplexHandler {
    typealias InboundIn = any Channel
    typealias InboundOut = any Channel
    typealias OutboundIn = Never

    private let limit: Int
    private let connections: MonitoringConnections
    private var count = 0
    private var isReadHeld = false
    /// `nil` once the server has ceased to listen.
    private var context: ChannelHandlerContext?

    init(limit: Int, connections: MonitoringConnections) {
        self.limit = max(1, limit)
        self.connections = connections
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    func read(context: ChannelHandlerContext) {
        if count < limit { context.read() } else { isReadHeld = true }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let channel = unwrapInboundIn(data)
        count += 1
        connections.insert(channel)
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        channel.closeFuture.hop(to: context.eventLoop).whenComplete { [connections] _ in
            connections.remove(channel)
            bound.value.connectionClosed()
        }
        context.fireChannelRead(data)
    }

    private func connectionClosed() {
        count -= 1
        guard isReadHeld, count < limit else { return }
        isReadHeld = false
        context?.read()
    }
}
