import NIOCore

/// Accepts no connection beyond a limit; new ones wait in the system's queue until one closes.
///
/// Above a lower limit it has the oldest idle connection closed for each one that it accepts. It belongs into the
/// pipeline of a listening channel.
package final class ConnectionLimiter: ChannelDuplexHandler {
    package typealias InboundIn = any Channel
    package typealias InboundOut = any Channel
    package typealias OutboundIn = Never

    private let limit: Int
    private let idleLimit: Int
    private let connections: OpenConnections
    private let changed: @Sendable (Int) -> Void
    private var count = 0
    private var isReadHeld = false
    /// `nil` after the server stopped to listen.
    private var context: ChannelHandlerContext?

    /// - Parameters:
    ///   - limit: The most connections at a time, at least one.
    ///   - idleLimit: The connections above which an idle one closes; `nil` for never.
    ///   - connections: The open connections.
    ///   - changed: Called with 1 for each connection that opens, and with -1 for each that closes.
    package init(
        limit: Int,
        idleLimit: Int? = nil,
        connections: OpenConnections,
        changed: @escaping @Sendable (Int) -> Void = { _ in }
    ) {
        self.limit = max(1, limit)
        self.idleLimit = idleLimit ?? .max
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
        if count > idleLimit { connections.makeRoom() }
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
