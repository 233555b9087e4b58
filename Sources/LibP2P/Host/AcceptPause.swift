import NIOCore

/// Stops accepting connections for a while when that fails for lack of descriptors or memory, rather than trying again
/// at once and all the time.
final class AcceptPause: ChannelInboundHandler {
    typealias InboundIn = any Channel

    /// How long accepting pauses.
    static let length = TimeAmount.milliseconds(100)

    private let resources: HostResources
    private var isPaused = false

    init(resources: HostResources) {
        self.resources = resources
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard error is IOError else {
            context.fireErrorCaught(error)
            return
        }
        resources.count { $0.acceptFailures += 1 }
        guard !isPaused else { return }
        isPaused = true
        try? context.channel.syncOptions?.setOption(.autoRead, value: false)
        let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: Self.length) {
            let (pause, context) = loopBound.value
            pause.isPaused = false
            guard context.channel.isActive else { return }
            try? context.channel.syncOptions?.setOption(.autoRead, value: true)
        }
    }
}
