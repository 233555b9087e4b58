import NIOCore

/// Accepts no connection while there are as many as allowed; those that come wait in the system's queue.
///
/// It belongs into the pipeline of a listening channel.
package final class ConnectionLimiter: ChannelDuplexHandler {
    package typealias InboundIn = any Channel
    package typealias InboundOut = any Channel
    package typealias OutboundIn = Never

    private let limit: Int
    private let connections: OpenConnections
    private let changed: @Sendable (Int) -> Void
    private var count = 0
    private var isReadHeld = false
    /// `nil` once the server has ceased to listen.
    private var context: ChannelHandlerContext?

    /// - Parameters:
    ///   - limit: the most connections at a time; at least one.
    ///   - connections: those that are open are noted there.
    ///   - changed: told of each connection that opens, with 1, and closes, with -1.
    package init(limit: Int, connections: OpenConnections, changed: @escaping @Sendable (Int) -> Void = { _ in }) {
        self.limit = max(1, limit)
        self.connections = connections
        self.changed = changed
    }

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    package func read(context: ChannelHandlerContext) {
        if count < limit { context.read() } else { isReadHeld = true }
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let channel = unwrapInboundIn(data)
        count += 1
        connections.insert(channel)
        changed(1)
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        channel.closeFuture.hop(to: context.eventLoop).whenComplete { [connections, changed] _ in
            connections.remove(channel)
            changed(-1)
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
