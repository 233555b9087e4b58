import NIOCore
import Time

/// The keep-alive of a connection.
extension YamuxHandler {
    /// Begins the keep-alive with a ping that measures the round-trip time.
    func beginKeepAlive() {
        scheduleTick(in: keepAlive.interval)
        ping()
    }

    private func scheduleTick(in delay: Duration) {
        let loopBound = NIOLoopBound(self, eventLoop: eventLoop)
        nextTick = eventLoop.scheduleTask(in: TimeAmount(delay)) { loopBound.value.tick() }
    }

    private func tick() {
        switch keepAlive.tick(now: .now, isUnused: streams.isEmpty && runningHandlers == 0) {
        case .wait(let delay):
            scheduleTick(in: delay)
        case .ping(let delay):
            ping()
            scheduleTick(in: delay)
        case .closeIdle:
            resources.count { $0.idleConnectionsClosed += 1 }
            close(reason: "idle")
        case .closeDead:
            drop(.unresponsive, "ping timed out")
        }
    }

    /// Updates the connection's activity for the host.
    func usageChanged() {
        activity.setStreams(streams.count + runningHandlers)
    }

    /// Closes the connection because the peer misbehaves.
    func drop(_ reason: DropReason, _ text: String) {
        guard closeReason == nil else { return }
        resources.count { $0.peersDropped[reason, default: 0] += 1 }
        close(reason: text)
    }
}

extension DropReason {
    init(_ error: YamuxError) {
        switch error {
        case .controlFlood: self = .controlFlood
        case .streamFlood: self = .streamFlood
        case .protocolViolation, .tooManyUnacknowledgedStreams, .goingAway, .streamIDsExhausted, .streamNotWritable:
            self = .protocolViolation
        }
    }
}
