import NIOCore
import ServiceLifecycle
import Synchronization

/// Feeds a ``Liveness``: has every event loop and the pool of Swift's tasks say every few seconds that they move, and
/// asks other parts when they last did.
public final class LivenessMonitor: Service {
    /// How often a part shows that it moves.
    public static let interval = Duration.seconds(5)
    /// After how long an event loop or the pool of tasks counts as stuck. A busy machine may hold one up for seconds.
    public static let deadline = Duration.seconds(60)

    private static let tasks = "Swift's tasks"

    private struct State {
        var liveness = Liveness()
        var sources: [(part: String, lastMove: @Sendable () -> Liveness.Instant?)] = []
    }

    private let group: any EventLoopGroup
    private let state = Mutex(State())

    /// Makes a monitor that watches once ``run()`` runs.
    public init(group: any EventLoopGroup) {
        self.group = group
    }

    /// Watches a part that knows when it last moved; `nil` means that it has not begun.
    public func watch(
        _ part: String,
        deadline: Duration,
        lastMove: @escaping @Sendable () -> Liveness.Instant?
    ) {
        state.withLock { state in
            state.liveness.watch(part, deadline: deadline, now: .now)
            state.sources.append((part, lastMove))
        }
    }

    /// What is stuck; empty when all is well.
    public var stalls: [Liveness.Stall] {
        let sources = state.withLock { $0.sources }
        let moves = sources.map { ($0.part, $0.lastMove()) }
        return state.withLock { state in
            for case (let part, let time?) in moves { state.liveness.beat(part, at: time) }
            return state.liveness.stalls(now: .now)
        }
    }

    /// Watches until the task is cancelled or the service shuts down.
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
