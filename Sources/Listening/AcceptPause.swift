import NIOCore

/// Pauses accepting for a while after it failed for lack of descriptors or memory, instead of retrying in a busy
/// loop. New connections wait in the kernel's accept queue meanwhile.
///
/// Belongs in the pipeline of a listening channel.
package final class AcceptPause: ChannelInboundHandler {
    package typealias InboundIn = any Channel

    /// How long a pause lasts.
    package static let length = TimeAmount.milliseconds(100)

    private let failed: @Sendable () -> Void
    private var isPaused = false

    /// - Parameter failed: called after each failure to accept.
    package init(failed: @escaping @Sendable () -> Void = {}) {
        self.failed = failed
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard error is IOError else {
            context.fireErrorCaught(error)
            return
        }
        failed()
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
