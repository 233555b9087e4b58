import NIOCore

/// Negotiates one protocol of a connection, calls back with its name, and leaves the pipeline.
///
/// The callback adds the handlers of the protocol behind this one. They receive the bytes after the negotiation.
final class MultistreamHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum Side {
        case dialer(MultistreamDialer)
        case listener(MultistreamListener)
    }

    private var side: Side
    private var isStarted = false
    private let onSelected: (ChannelHandlerContext, String) throws -> Void

    /// - Parameters:
    ///   - role: The side of the connection.
    ///   - protocols: The acceptable protocols, the preferred one first.
    ///   - isStrict: Whether a listener accepts no other proposal.
    ///   - onSelected: Called on the event loop with this handler's context and the selected protocol.
    init(
        role: YamuxSession.Role,
        protocols: [String],
        isStrict: Bool = false,
        onSelected: @escaping (ChannelHandlerContext, String) throws -> Void
    ) {
        side =
            switch role {
            case .dialer: .dialer(MultistreamDialer(protocols: protocols))
            case .listener: .listener(MultistreamListener(supported: Set(protocols), isStrict: isStrict))
            }
        self.onSelected = onSelected
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { start(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        start(context)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        switch side {
        case .dialer(var dialer):
            let actions = dialer.receive(bytes)
            side = .dialer(dialer)
            perform(actions, context)
        case .listener(var listener):
            let actions = listener.receive(bytes)
            side = .listener(listener)
            perform(actions, context)
        }
    }

    private func start(_ context: ChannelHandlerContext) {
        guard !isStarted else { return }
        isStarted = true
        switch side {
        case .dialer(var dialer):
            let actions = dialer.start()
            side = .dialer(dialer)
            perform(actions, context)
        case .listener(let listener):
            perform(listener.start(), context)
        }
    }

    private func perform(_ actions: [MultistreamAction], _ context: ChannelHandlerContext) {
        for action in actions {
            switch action {
            case .send(let bytes):
                context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
            case .selected(let protocolID, let leftover):
                do {
                    try onSelected(context, protocolID)
                } catch {
                    context.fireErrorCaught(error)
                    return
                }
                if leftover.readableBytes > 0 {
                    context.fireChannelRead(wrapInboundOut(leftover))
                    context.fireChannelReadComplete()
                }
                context.pipeline.syncOperations.removeHandler(self, promise: nil)
            case .failed(let error):
                context.fireErrorCaught(error)
            }
        }
    }
}
