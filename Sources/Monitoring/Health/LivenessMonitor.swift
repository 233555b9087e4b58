import NIOCore
import ServiceLifecycle
import Synchronization
import Time

/// The monitor of the process's ``Liveness``. Event loops and the pool of Swift's tasks send heartbeats to it; it polls
/// other parts.
public final class LivenessMonitor: Service {
    /// The time between two heartbeats.
    public static let interval = Duration.seconds(5)
    /// The deadline of an event loop and of the pool of tasks. A busy machine may delay one for seconds.
    public static let deadline = Duration.seconds(60)

    private static let tasks = "Swift's tasks"

    private struct State {
        var liveness = Liveness()
        var sources: [(part: String, lastMove: @Sendable () -> MonotonicTime?)] = []
    }

    private let group: any EventLoopGroup
    private let state = Mutex(State())

    /// A monitor whose heartbeats begin with ``run()``.
    public init(group: any EventLoopGroup) {
        self.group = group
    }

    /// Watches a part that has the time of its last heartbeat; `nil` for a part that has not begun.
    public func watch(
        _ part: String,
        deadline: Duration,
        lastMove: @escaping @Sendable () -> MonotonicTime?
    ) {
        state.withLock { state in
            state.liveness.watch(part, deadline: deadline, now: .now)
            state.sources.append((part, lastMove))
        }
    }

    /// The stalled parts; empty in a healthy process.
    public var stalls: [Liveness.Stall] {
        let sources = state.withLock { $0.sources }
        let moves = sources.map { ($0.part, $0.lastMove()) }
        return state.withLock { state in
            for case (let part, let time?) in moves { state.liveness.beat(part, at: time) }
            return state.liveness.stalls(now: .now)
        }
    }

    /// Sends heartbeats until the task is cancelled or the service shuts down.
    public func run() async throws {
        let loops = Array(group.makeIterator())
        let names = loops.indices.map { "event loop \($0 + 1)" }
        state.withLock { state in
            for name in names + [Self.tasks] { state.liveness.watch(name, deadline: Self.deadline, now: .now) }
        }
        let heartbeats = zip(loops, names).map { loop, name in
            loop.scheduleRepeatedTask(initialDelay: .zero, delay: TimeAmount(Self.interval)) { [weak self] _ in
                self?.beat(name)
            }
        }
        try? await cancelWhenGracefulShutdown {
            while true {
                self.beat(Self.tasks)
                try await Task.sleep(for: Self.interval)
            }
        }
        for heartbeat in heartbeats { heartbeat.cancel() }
        state.withLock { state in
            for name in names + [Self.tasks] { state.liveness.forget(name) }
        }
    }

    private func beat(_ part: String) {
        state.withLock { $0.liveness.beat(part, at: .now) }
    }
}

extension Liveness.Stall: CustomStringConvertible {
    /// For `/livez` and the log.
    public var description: String { "\(part) has not moved for \(duration.components.seconds) s" }
}
