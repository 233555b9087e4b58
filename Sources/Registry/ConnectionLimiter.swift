import NIOCore
import Synchronization

/// The client connections that are open, for whoever has to close them.
final class OpenConnections: Sendable {
    private let channels = Mutex<[ObjectIdentifier: any Channel]>([:])

    var all: [any Channel] { channels.withLock { Array($0.values) } }
    var count: Int { channels.withLock { $0.count } }

    func insert(_ channel: any Channel) {
        channels.withLock { $0[ObjectIdentifier(channel)] = channel }
    }

    func remove(_ channel: any Channel) {
        channels.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(channel)) }
    }
}

/// Stops to accept connections while there are as many as allowed; those that come wait in the system's queue.
final class ConnectionLimiter: ChannelDuplexHandler {
    typealias InboundIn = any Channel
    typealias InboundOut = any Channel
    typealias OutboundIn = Never

    private let limit: Int
    private let connections: OpenConnections
    private let metrics: RegistryMetrics
    private var count = 0
    private var readIsHeld = false
    /// `nil` once the server has ceased to listen.
    private var context: ChannelHandlerContext?

    init(limit: Int, connections: OpenConnections, metrics: RegistryMetrics) {
        self.limit = max(1, limit)
        self.connections = connections
        self.metrics = metrics
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    func read(context: ChannelHandlerContext) {
        guard count < limit else {
            readIsHeld = true
            return
        }
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let channel = unwrapInboundIn(data)
        count += 1
        connections.insert(channel)
        metrics.changeOpenConnections(by: 1)
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        channel.closeFuture.hop(to: context.eventLoop).whenComplete { [connections, metrics] _ in
            connections.remove(channel)
            metrics.changeOpenConnections(by: -1)
            bound.value.connectionClosed()
        }
        context.fireChannelRead(data)
    }

    private func connectionClosed() {
        count -= 1
        guard readIsHeld, count < limit else { return }
        readIsHeld = false
        context?.read()
    }
}
