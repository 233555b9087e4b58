import ContainerdStore
import Logging
import ServiceLifecycle
import Synchronization

/// Watches containerd's content folder: it may vanish, be replaced by another one, or come later. Without it the node
/// reads content through containerd's socket.
final class ContentFolderService: Service {
    /// The time between two looks.
    private static let interval = Duration.seconds(10)

    private struct State {
        /// Whether the folder was looked at. The check of the setup reports what is wrong at the start.
        var isKnown = false
        var problem: String?
    }

    private let store: ContainerdStore
    private let logger: Logger
    private let state = Mutex(State())

    init(store: ContainerdStore, logger: Logger) {
        self.store = store
        self.logger = logger
    }

    /// A note for the readiness while the folder cannot be used; else `nil`.
    var note: String? {
        state.withLock { $0.problem.map { "reading content through containerd's socket: \($0)" } }
    }

    func run() async throws {
        try? await cancelWhenGracefulShutdown {
            while true {
                await self.look()
                try await Task.sleep(for: Self.interval)
            }
        }
    }

    /// Looks at the folder. Returns early when the task is cancelled.
    private func look() async {
        let (ends, continuation) = AsyncStream.makeStream(of: Void.self)
        // A call to containerd does not notice its cancellation if its connection ends at that moment. The node leaves it
        // to its own deadline instead of waiting.
        let task = Task {
            await lookToTheEnd()
            continuation.finish()
        }
        defer { task.cancel() }
        for await _ in ends {}
    }

    private func lookToTheEnd() async {
        do {
            var problem = try await store.contentFolderProblem()
            // Content may have been collected between the listing and the look.
            if problem != nil { problem = try await store.contentFolderProblem() }
            record(problem)
        } catch {
            // While containerd is away, nothing can be said.
        }
    }

    private func record(_ problem: String?) {
        let (isNew, hadProblem) = state.withLock { state in
            defer { state = State(isKnown: true, problem: problem) }
            return (state.isKnown && (state.problem == nil) != (problem == nil), state.problem != nil)
        }
        guard isNew else { return }
        if let problem {
            logger.warning(
                "content folder unusable, reading content through containerd's socket",
                metadata: ["reason": "\(problem)"]
            )
        } else if hadProblem {
            logger.info("content folder usable again")
        }
    }
}
