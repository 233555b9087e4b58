import Synchronization
import Time

/// The activity of a connection. Its event loop writes it and the host reads it.
final class ConnectionActivity: Sendable {
    private struct State {
        var streams = 0
        var lastUse = MonotonicTime.now
        var roundTripTime: Duration?
    }

    private let state = Mutex(State())

    /// Whether streams are open, and when the last one ended.
    var use: (isInUse: Bool, lastUse: MonotonicTime) { state.withLock { ($0.streams > 0, $0.lastUse) } }

    /// The round-trip time of the last ping; `nil` before the first answer.
    var roundTripTime: Duration? {
        get { state.withLock { $0.roundTripTime } }
        set { state.withLock { $0.roundTripTime = newValue } }
    }

    func setStreams(_ count: Int) {
        state.withLock { state in
            guard state.streams != count else { return }
            state.streams = count
            state.lastUse = .now
        }
    }
}
