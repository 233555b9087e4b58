import NIOCore

/// Limits the open connections of a listener. Connections above the limit wait in the kernel's accept queue.
///
/// Above a lower limit, each new connection asks for room, for which an idle one may close. The limiter belongs in the
/// pipeline of a listening channel.
package final class ConnectionLimiter: ChannelDuplexHandler {
    package typealias InboundIn = any Channel
    package typealias InboundOut = any Channel
    package typealias OutboundIn = Never

    private let limit: Int
    private let idleLimit: Int
    private let connections: OpenConnections
    private let makeRoom: @Sendable (any EventLoop) -> Void
    private let changed: @Sendable (Int) -> Void
    private var count = 0
    private var isReadHeld = false
    /// `nil` after the listener has closed.
    private var context: ChannelHandlerContext?

    /// - Parameters:
    ///   - limit: The maximum number of open connections; at least one.
    ///   - idleLimit: The number of open connections above which each new one calls `makeRoom`; `nil` for never.
    ///   - connections: The set that the limiter keeps up to date.
    ///   - makeRoom: Called on the listener's event loop.
    ///   - changed: Called with 1 when a connection opens and with -1 when it closes.
    package init(
        limit: Int,
        idleLimit: Int? = nil,
        connections: OpenConnections,
        makeRoom: @escaping @Sendable (any EventLoop) -> Void = { _ in },
        changed: @escaping @Sendable (Int) -> Void = { _ in }
    ) {
        self.limit = max(1, limit)
        self.idleLimit = idleLimit ?? .max
        self.connections = connections
        self.makeRoom = makeRoom
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
        if count > idleLimit { makeRoom(context.eventLoop) }
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
